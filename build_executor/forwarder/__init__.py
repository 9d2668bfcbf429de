"""The embedded switch's own process: it owns the public ports and forwards each connection.

One process serves all services of a target: `python -S -m build_executor.forwarder STATE ADMIN
[HOST]`, where HOST is the address that public ports are opened on. It uses the standard library
only, so it is small, is back a moment after a crash, and can be sent to another machine with
`python -S -m build_executor.forwarder.ask ADMIN`, which asks it there. Its clients are in
build_executor/targets/switch.py.
"""
