"""SQL as a tool: databases that can only be read."""
