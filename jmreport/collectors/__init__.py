"""Collectors: one module a subject, each over one polite client, none of which writes anything.

`capabilities` asks what the server is, `query` lists jobs, `metadata` reads a job with its
sub-workflows and `attempts`, `crawl` does that for many at a time, `aggregations` asks for the
server's own counts. `demo` is the built-in server.
"""
