"""Show people what was measured: terminal, tables, charts, page."""
