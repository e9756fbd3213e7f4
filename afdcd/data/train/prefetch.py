"""Reading ahead: the bytes of the next rows are on their way while one is decoded."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from afdcd.data.shards.parquet import Row
from afdcd.data.shards.rows import Rows

_MOST_BYTES = 64 * 2**20


def fetch_ahead(
    rows: Rows, indices: Iterable[int], ahead: int, most: int = _MOST_BYTES
) -> Iterator[tuple[int, Row]]:
    """Each index with its row, in order; `ahead` rows of at most `most` bytes in all wait meanwhile.

    The next row is read however large it is; with `ahead` 0 when it is asked for.

    Raises:
        UserError: when it is the turn of a row that cannot be read.
    """
    if ahead == 0:
        yield from ((index, rows.fetch(index)) for index in indices)
        return
    waiting: deque[tuple[int, Future[Row]]] = deque()
    held = 0
    with ThreadPoolExecutor(ahead, thread_name_prefix="read-ahead") as pool:
        try:
            for index in indices:
                while waiting and (len(waiting) >= ahead or held + rows.stored(index) > most):
                    held -= rows.stored(waiting[0][0])
                    yield _arrived(waiting)
                waiting.append((index, pool.submit(rows.fetch, index)))
                held += rows.stored(index)
            while waiting:
                yield _arrived(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def _arrived(waiting: deque[tuple[int, Future[Row]]]) -> tuple[int, Row]:
    index, future = waiting.popleft()
    return index, future.result()
