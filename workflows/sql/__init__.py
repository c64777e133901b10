"""Text-to-SQL flows, from the cheapest to the dearest, and the routed one."""
