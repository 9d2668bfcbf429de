"""A supervisor in memory: it remembers what it was told to run, and runs nothing."""

from dataclasses import dataclass, field

from build_executor.targets.supervisor import ABSENT, Program


@dataclass
class FakeSupervisor:
    """`states` may be set to what supervisord would say of a program."""

    kept: dict[str, Program] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    def ensure(self, program: Program) -> None:
        self.kept[program.name] = program
        self.states.setdefault(program.name, "RUNNING")

    def forget(self, name: str) -> None:
        self.kept.pop(name, None)
        self.states.pop(name, None)

    def state(self, name: str) -> str:
        return self.states.get(name, ABSENT)

    def pid(self, name: str) -> int:
        return self.pids.get(name, 0)

    def definition(self, name: str) -> str | None:
        program = self.kept.get(name)
        return program.render() if program else None

    def programs(self) -> list[str]:
        return sorted(self.kept)
