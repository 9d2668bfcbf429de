import pytest

from build_executor.forwarder.frames import Frames

SHORT = b"\x81\x03abc"
MASKED = b"\x81\x83maskabc"
LONG = b"\x82\x7e\x01\x00" + b"x" * 256
HUGE = b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"x" * 70_000
EMPTY = b"\x89\x00"


@pytest.mark.parametrize("frame", [SHORT, MASKED, LONG, HUGE, EMPTY])
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_the_end_of_a_frame_is_found_however_it_is_cut(frame: bytes, step: int) -> None:
    frames = Frames()
    data = SHORT + frame
    for start in range(0, len(data), step):
        assert start == 0 or start == len(SHORT) or step > 1 or not frames.is_between()
        frames.follow(data[start : start + step])

    assert frames.is_between()


def test_two_frames_in_one_piece_are_two_frames() -> None:
    frames = Frames()

    frames.follow(SHORT + LONG + SHORT[:4])

    assert not frames.is_between()
