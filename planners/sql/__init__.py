"""Text-to-SQL: schema linking, and the ways to write a query."""
