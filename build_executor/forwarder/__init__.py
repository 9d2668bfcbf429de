"""The embedded switch's own process: it owns the public ports and forwards each connection.

One process serves all services of a target: `python -S -m build_executor.forwarder STATE ADMIN`.
It uses the standard library only, so it is small and is back a moment after a crash. Clients of it
are in build_executor/targets/switch.py.
"""
