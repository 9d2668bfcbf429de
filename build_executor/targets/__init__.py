"""Where releases run: a shell (local) x a runtime (supervised process) x a switch (embedded)."""
