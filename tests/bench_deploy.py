"""`make bench-deploy`: what users meet while a release is deployed, breaks, or its host is hit.

One table: a column for each target that this machine can run, a row for each thing that happens,
under a load of new and kept connections, GET, POST and a WebSocket. Never a test.
"""
