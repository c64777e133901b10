"""Reserved floor."""
