"""Progress is shown where somebody reads it, and never costs a run."""

import io

from ingest.progress import Progress


class Gone(io.StringIO):
    """A pipe whose reader leaves after so many writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError
        return super().write(text)


def run(progress: Progress) -> None:
    for name in ("scan", "plan", "parse"):
        with progress.stage(name, 2, "files") as advance:
            advance(2)


def test_one_line_a_stage_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    run(Progress(stream))
    lines = stream.getvalue().splitlines()
    assert [line.partition(" files")[0] for line in lines] == ["scan: 2", "plan: 2", "parse: 2"]


def test_a_reader_that_leaves_is_not_written_to_again() -> None:
    stream = Gone(1)
    progress = Progress(stream)
    run(progress)
    assert stream.getvalue().startswith("scan: 2 files")
    assert stream.left == -1
    assert [stage.name for stage in progress.costs] == ["scan", "plan", "parse"]
