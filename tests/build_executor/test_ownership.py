import os

from build_executor import command
from build_executor.models import Owner
from build_executor.ownership import is_alive, start_ticks, this_process


def test_this_process_is_alive() -> None:
    assert is_alive(this_process())


def test_a_process_that_ended_is_not() -> None:
    gone = int(command.run(("sh", "-c", "echo $$"), timeout=20).output)

    assert not is_alive(this_process().model_copy(update={"pid": gone}))


def test_another_process_with_the_same_pid_is_another_owner() -> None:
    earlier = this_process().start_ticks - 100

    assert not is_alive(this_process().model_copy(update={"start_ticks": earlier}))


def test_a_process_from_before_the_last_boot_is_not_alive() -> None:
    assert not is_alive(this_process().model_copy(update={"boot_id": "another"}))


def test_a_process_that_waits_to_be_buried_is_not_alive() -> None:
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    ended = start_ticks(pid)

    assert ended is None
    os.waitpid(pid, 0)


def test_a_process_on_another_host_cannot_be_judged() -> None:
    assert is_alive(Owner(host="elsewhere.invalid", boot_id="b", pid=1, start_ticks=0))
