"""Derive what several runs show together: groups, ratios, intervals, the cause, how many to pack; pure."""
