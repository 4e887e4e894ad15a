"""The report that people read: one self-contained page, the same in Markdown, and their pictures."""
