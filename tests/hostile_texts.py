"""Texts that a name, a path or an error of somebody else's may hold."""

SCRIPT = "<script>document.title = 'run'</script>"
HOSTILE = (
    SCRIPT,
    '"><img src=x onerror="document.title = 1">',
    "</pre></code></table></main></body></html>",
    "]]> --> <!-- <![CDATA[",
    "{{ 7 * 7 }} {% include 'page.html.j2' %} {# #} ${7 * 7} %s %(a)s {0}",
    "**bold** _it_ `code` ```fence [link](javascript:alert(1)) ![x](y) | a | b | # h ~~s~~ $x$ &lt;b&gt;",
    "http://example.com/ https://example.com www.example.com ftp://example.com",
    "two\nlines\r\nand\tmore\n\n# not a heading\n- not a list\n1. nor this\n===",
    "\x1b[31mred\x1b[0m \x07 \x00 \x7f \x9b2J",
    "\u202eright to left\u202c עברית العربية 🚀👩‍👩‍👧 ﷽",
    "x" * 10_000,
    "'; DROP TABLE runs; --",
    "- starts like a list",
    "1. starts like a list",
    "=== starts like a line under a heading",
)
