"""What moves between memories, buffer and multipliers, per step and sequence, against the totals of whole passes."""

from __future__ import annotations

from collections import Counter
from math import ceil, log2

import pytest
from conftest import close
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts.blocking import Blocking, Dataflow
from hwsim.accounts.memories import BUFFER, GRADIENT_MEMORY, SEQUENCE_MEMORY, WEIGHT_MEMORY
from hwsim.accounts.passes import Occurrence
from hwsim.accounts.traffic import columns_together, outer_sums, product, recurrent, square, windows
from hwsim.records import Record

SUMS = 10**9
"""So many gradient sums that they fit no buffer."""


def of(kind: str, *size: int) -> Record:
    return Record(kind, "systolic array", "layer 1", "inference", "float32", size, 0, (), 0)


def moved(blocking: Blocking, record: Record, where: Occurrence) -> dict[tuple[str, str], float]:
    """Numbers of one step of one sequence, by memory and way."""
    found: dict[tuple[str, str], float] = {}
    for move in blocking.moves(record, where):
        found[move.memory, move.way] = found.get((move.memory, move.way), 0.0) + move.amount
    return found


def blocking(buffer: int = 32_768, multipliers: int = 256, **flow: object) -> Blocking:
    return Blocking(buffer, multipliers, Dataflow.model_validate(flow))


sizes = st.integers(1, 300)


@settings(deadline=None)
@given(sizes, sizes, st.integers(1, 400), st.integers(1, 4), st.integers(16, 40_000))
def test_a_product_outside_of_recurrences_is_one_of_many_columns(
    rows: int, columns: int, steps: int, batch: int, buffer: int
) -> None:
    found = blocking(buffer, batch_parallel=batch)
    window = min(steps, ceil(square(buffer) / batch))
    assert found.window(steps) == window
    whole = columns_together(rows, columns, steps, batch, window, buffer)
    each = moved(found, of("read", rows, columns), Occurrence(steps, recurrent=False, sums=SUMS))
    assert each[WEIGHT_MEMORY, "read"] * steps * batch == close(whole.a)
    assert each[SEQUENCE_MEMORY, "read"] * steps * batch == close(whole.b if window > 1 else 0)
    back = moved(found, of("read transposed", columns, rows), Occurrence(steps, recurrent=False, sums=SUMS))
    assert back == close(each)  # the transposed of the transposed matrix


@settings(deadline=None)
@given(sizes, st.integers(1, 400), st.integers(1, 4), st.integers(16, 100_000))
def test_a_recurrent_product_fetches_at_each_step_what_does_not_fit(
    n: int, steps: int, batch: int, buffer: int
) -> None:
    found = blocking(buffer, batch_parallel=batch)
    where = Occurrence(steps, matrices=n * n, recurrences=n * n, weights=n * n, sums=SUMS)
    each = moved(found, of("read", n, n), where)
    expected = in_turns(n * n, n * n, steps, found.window(steps), buffer)
    assert each[WEIGHT_MEMORY, "read"] * steps * batch == close(expected)
    assert each[SEQUENCE_MEMORY, "read"] == 0


def in_turns(numbers: int, loop: int, steps: int, window: int, buffer: int) -> int:
    """Numbers of a matrix that come in a pass if recurrences take turns window by window, and one of them needs it."""
    if 2 * loop <= buffer:
        return numbers
    pinned = numbers * min(buffer, loop) // loop
    return sum(times * recurrent(numbers, length, pinned) for length, times in windows(steps, window))


@pytest.mark.parametrize(
    ("buffer", "recurrent_comes", "other_comes"),
    [(4_000, 1, 1), (3_999, 1, 5), (1_800, 1, 5), (1_799, 5, 5), (300, 5, 5), (200, 20, 5)],
)
def test_matrices_stay_for_a_pass_if_all_of_them_do_with_room_for_blocks(
    buffer: int, recurrent_comes: int, other_comes: int
) -> None:
    """Three recurrences of 300 numbers, and 1100 outside of them; 50 steps in windows of 10."""
    found = blocking(buffer, together=10)
    where = Occurrence(50, matrices=300, recurrences=900, weights=2_000, sums=SUMS)
    inside = moved(found, of("read", 20, 15), where)[WEIGHT_MEMORY, "read"] * 50
    assert inside == close(300 * recurrent_comes if buffer >= 300 else 5 * 200 + 50 * 100)
    outside = moved(found, of("read", 20, 15), where._replace(recurrent=False, matrices=0))[WEIGHT_MEMORY, "read"] * 50
    assert outside == close(300 * other_comes)


def test_two_matrices_of_one_recurrence_share_the_buffer() -> None:
    found, n, steps = blocking(buffer=10_000, together="pass"), 100, 1000
    alone, shared = (
        moved(found, of("read", n, n), Occurrence(steps, matrices=all_, recurrences=all_, weights=all_, sums=SUMS))
        for all_ in (n * n, 2 * n * n)
    )
    assert alone[WEIGHT_MEMORY, "read"] == close(n * n / steps)
    assert shared[WEIGHT_MEMORY, "read"] == close((5000 + steps * 5000) / steps)


@settings(deadline=None)
@given(sizes, sizes, st.integers(1, 400), st.integers(1, 4), st.integers(16, 40_000), st.booleans())
def test_sums_of_outer_products(rows: int, columns: int, steps: int, batch: int, buffer: int, many: bool) -> None:
    found = blocking(buffer, batch_parallel=batch)
    window, sums = found.window(steps), SUMS if many else rows * columns
    stay = 2 * sums <= buffer
    each = moved(found, of("outer", rows, columns), Occurrence(steps, recurrent=False, sums=sums))
    whole = outer_sums(rows, columns, steps, batch, window, buffer - sums if stay else buffer)
    for way in ("read", "write"):  # those that stay are read and written once per pass
        expected = rows * columns if stay else whole.sums_read
        assert each[GRADIENT_MEMORY, way] * steps * batch == close(expected)
    assert each[SEQUENCE_MEMORY, "read"] * steps * batch == close(whole.factors if window > 1 else 0)


@settings(deadline=None)
@given(sizes, sizes, st.integers(1, 400), st.integers(64, 40_000), st.sampled_from([2, 4]))
def test_sums_of_more_bits_take_the_place_of_several_numbers(
    rows: int, columns: int, steps: int, buffer: int, wide: int
) -> None:
    """They stay if they take no more than half of the buffer; sums that do not stay leave room for smaller blocks."""
    found = Blocking(buffer, 256, Dataflow(), wide)
    where = Occurrence(steps, recurrent=False, sums=rows * columns)
    each = moved(found, of("outer", rows, columns), where)
    if 2 * wide * rows * columns <= buffer:
        expected: float = rows * columns
    else:
        expected = outer_sums(rows, columns, steps, 1, found.window(steps), buffer // wide).sums_read
    assert each[GRADIENT_MEMORY, "read"] * steps == close(expected)
    wider = {move.memory for move in found.moves(of("outer", rows, columns), where) if move.sums and move.amount}
    assert wider == {GRADIENT_MEMORY, BUFFER}
    crossing = sum(
        move.amount
        for move in found.moves(of("outer", rows, columns), where)
        if move.sums and (move.memory, move.way) == (BUFFER, "write")
    )
    back = sum(times for _, times in windows(steps, found.window(steps))) * rows * columns  # from the multipliers
    assert crossing * steps == close(expected + back)


def test_step_by_step_sums_are_read_and_written_at_each_of_them() -> None:
    each = moved(blocking(together=1), of("outer", 300, 400), Occurrence(50, recurrent=False, sums=SUMS))
    assert each[GRADIENT_MEMORY, "read"] == each[GRADIENT_MEMORY, "write"] == 300 * 400
    assert each[SEQUENCE_MEMORY, "read"] == 0
    assert each[BUFFER, "read"] >= 2 * 300 * 400  # what comes in is read by the multipliers, and what goes out


def test_the_multipliers_reuse_words_of_the_buffer_as_a_square_of_them_can() -> None:
    """Sixteen by sixteen multipliers and a large product: a word for sixteen multiplications, of either operand."""
    each = moved(blocking(), of("read", 1600, 1600), Occurrence(160, recurrent=False, sums=SUMS))
    assert each[BUFFER, "read"] / 1600**2 == close(1 / 16 + 1 / 16, rel=1e-2)
    alone = moved(blocking(), of("read", 1600, 1600), Occurrence(160, matrices=1600**2, sums=SUMS))
    assert alone[BUFFER, "read"] / 1600**2 == close(1, rel=0.01)  # a matrix and a vector reuse no weight


def test_a_batch_shares_weights_but_not_operands() -> None:
    where = Occurrence(10, matrices=10**6, recurrences=10**6, weights=10**6, sums=SUMS)
    flows = [blocking(buffer=100, batch_parallel=batch, together="pass") for batch in (1, 8)]
    one, eight = (moved(each, of("read", 1000, 1000), where) for each in flows)
    assert eight[WEIGHT_MEMORY, "read"] == close(one[WEIGHT_MEMORY, "read"] / 8)
    bundle = moved(flows[0], of("read", 8, 1000, 1000), where)  # eight vectors of one sequence
    assert bundle[WEIGHT_MEMORY, "read"] == close(one[WEIGHT_MEMORY, "read"])


def test_coefficients_are_fetched_once_per_pass() -> None:
    for recurrent_, uses in ((True, 6), (False, 6 / 100)):
        each = moved(blocking(), of("bias", 6), Occurrence(100, recurrent=recurrent_))
        assert each == close({(WEIGHT_MEMORY, "read"): 0.06, (BUFFER, "write"): 0.06, (BUFFER, "read"): uses})


def test_products_of_what_was_made_in_the_step_move_in_the_buffer_only() -> None:
    assert set(moved(blocking(), of("project", 30, 40), Occurrence(9))) == {(BUFFER, "write"), (BUFFER, "read")}
    solved = moved(blocking(), of("solve", 300, 300), Occurrence(9))
    used = product(300, 300, 100, 256 + 16 + 1)
    assert solved == {(BUFFER, "write"): 300 * 300 + 300, (BUFFER, "read"): used.a + used.b}


@pytest.mark.parametrize(("together", "window"), [(1, 1), (7, 7), (1000, 40), ("pass", 40), (None, 31)])
def test_how_many_steps_are_taken_together(together: object, window: int) -> None:
    assert blocking(buffer=1000, together=together).window(40) == window


def test_results_wait_only_if_something_takes_many_steps_of_them() -> None:
    assert blocking().waits(Occurrence(9, awaited=True))
    assert not blocking().waits(Occurrence(9, awaited=False))
    assert not blocking().waits(Occurrence(1, awaited=True))
    assert not blocking(together=1).waits(Occurrence(9, awaited=True))


def test_typed_reuse_is_taken_as_it_is() -> None:
    where = Occurrence(100, recurrent=False, sums=SUMS)
    typed = blocking(weight_reuse=64, gradient_block=32, batch_parallel=2)
    (first, *_) = typed.moves(of("read", 40, 50), where)
    assert (first.memory, first.amount, first.assumed) == (WEIGHT_MEMORY, 40 * 50 / 128, True)
    sums = [move for move in typed.moves(of("outer", 40, 50), where) if move.memory == GRADIENT_MEMORY]
    assert [(move.amount, move.assumed) for move in sums] == [(40 * 50 / 64, True)] * 2


@pytest.mark.parametrize("recurrent", [True, False])
@pytest.mark.parametrize("kind", ["fetch", "bias"])
def test_typed_reuse_of_what_is_no_product(kind: str, recurrent: bool) -> None:
    """Fetched once per so many uses by each of so many sequences, and read at each use, or once per window."""
    where = Occurrence(100, recurrent=recurrent, sums=SUMS)
    typed = blocking(weight_reuse=64, batch_parallel=2)
    fetched, written, read = typed.moves(of(kind, 40), where)
    together = 1 if kind == "fetch" or recurrent else typed.window(100)
    assert (fetched.memory, fetched.way, fetched.amount, fetched.assumed) == (WEIGHT_MEMORY, "read", 40 / 128, True)
    assert (written.memory, written.way, written.amount) == (BUFFER, "write", 40 / 128)
    assert (read.memory, read.way, read.amount) == (BUFFER, "read", close(40 / (2 * together)))


@pytest.mark.parametrize(("buffer", "pinned"), [(100, 100), (10**6, 300)])
def test_parameters_as_plain_numbers_are_fetched_like_matrices(buffer: int, pinned: int) -> None:
    """In a recurrence what does not fit comes again at each step; outside of one all of it comes once per window."""
    found = blocking(buffer, batch_parallel=4, together="pass")
    each = moved(found, of("fetch", 20, 15), Occurrence(50, matrices=300, recurrences=300, weights=300, sums=SUMS))
    fetched = (pinned + 50 * (300 - pinned)) / (50 * 4)
    assert each == close({(WEIGHT_MEMORY, "read"): fetched, (BUFFER, "write"): fetched, (BUFFER, "read"): 300 / 4})
    each = moved(found, of("fetch", 20, 15), Occurrence(50, recurrent=False, sums=SUMS))
    fetched = 300 / (found.window(50) * 4)
    assert each == close({(WEIGHT_MEMORY, "read"): fetched, (BUFFER, "write"): fetched, (BUFFER, "read"): 300 / 4})


MULTIPLIERS = 256 + 16 + 1
"""Words behind the buffer: a block of sums, a line of operands, and a number."""


@pytest.mark.parametrize("together", [1, 10])
@pytest.mark.parametrize("vectors", [1, 3])
def test_what_comes_into_the_buffer_for_a_product_and_goes_on_from_it(vectors: int, together: int) -> None:
    """Weights and operands come in; each block of results takes its operands from there."""
    found = blocking(2_000, together=together, batch_parallel=2)
    size = (vectors, 50, 60) if vectors > 1 else (50, 60)
    each = moved(found, of("read", *size), Occurrence(40, recurrent=False, sums=SUMS))
    inside = columns_together(50, 60, 40, 2 * vectors, together, 2_000)
    onwards = columns_together(50, 60, 40, 2 * vectors, together, MULTIPLIERS)
    operands = inside.b / 80 if together > 1 else 60 * vectors  # a single step hands them over itself
    assert each[BUFFER, "write"] == close(inside.a / 80 + operands)
    assert each[BUFFER, "read"] == close((onwards.a + onwards.b) / 80)
    again = moved(found, of("read", *size), Occurrence(40, matrices=6_000, recurrences=6_000, sums=SUMS))
    used = product(50, 2 * vectors, 60, MULTIPLIERS)
    assert again[BUFFER, "write"] == close(in_turns(3_000, 6_000, 40, together, 2_000) / 80 + 60 * vectors)
    assert again[BUFFER, "read"] == close((used.a + used.b) / 2)


@pytest.mark.parametrize("together", [1, 10])
def test_what_comes_into_the_buffer_for_sums_and_goes_on_from_it(together: int) -> None:
    """Factors and sums come in, and what the multipliers have summed; both ways of the sums pass through."""
    found = blocking(2_000, together=together, batch_parallel=2)
    each = moved(found, of("outer", 50, 60), Occurrence(40, recurrent=False, sums=SUMS))
    inside, onwards = (outer_sums(50, 60, 40, 2, together, words) for words in (2_000, MULTIPLIERS))
    factors = inside.factors / 80 if together > 1 else 50 + 60
    assert each[BUFFER, "write"] == close(factors + (inside.sums_read + onwards.sums_written) / 80)
    assert each[BUFFER, "read"] == close((onwards.factors + onwards.sums_read + inside.sums_written) / 80)


# ---- sparse matrices -----------------------------------------------------------------------------------------


class Walked:
    """A pass, step by step, through a buffer of so many places: what is pinned comes once per turn."""

    def __init__(self, steps: int, window: int, pinned: set[tuple[str, int]]) -> None:
        self.steps, self.window, self.pinned = steps, window, pinned
        self.fetched: Counter[str] = Counter()

    def read(self, words: list[tuple[str, int]]) -> None:
        held: set[tuple[str, int]] = set()
        for step in range(self.steps):
            if step % self.window == 0:
                held = set()
            for word in words:
                if word not in held:
                    self.fetched[word[0]] += 1
                    if word in self.pinned:
                        held.add(word)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 30), st.integers(1, 3), st.integers(7, 400))
def test_weights_and_indices_of_a_recurrence_are_fetched_at_each_step_or_stay(
    rows: int, fan_in: int, steps: int, batch: int, buffer: int
) -> None:
    """Against a walk that fetches each weight and each index, unless it is in the buffer."""
    found, nonzeros, columns = blocking(buffer, batch_parallel=batch), rows * fan_in, 2 * fan_in
    places = 2 * nonzeros
    where = Occurrence(steps, matrices=places, recurrences=places, weights=places, sums=SUMS)
    stays = 2 * places <= buffer
    pinned = nonzeros if stays else nonzeros * min(buffer, places) // places
    window = steps if stays else found.window(steps)
    assert 2 * pinned <= buffer
    walked = Walked(steps, window, {(what, k) for what in ("weight", "index") for k in range(pinned)})
    walked.read([(what, k) for k in range(nonzeros) for what in ("weight", "index")])
    for kind in ("sparse read", "sparse read transposed"):
        each = Counter[int | None]()
        for move in found.moves(of(kind, rows, fan_in, columns), where):
            if move.memory == WEIGHT_MEMORY:
                assert move.way == "read"
                each[move.bits] += move.amount  # type: ignore[assignment]
        index = max(1, ceil(log2(columns)))
        assert each == close(
            {None: walked.fetched["weight"] / steps / batch, index: walked.fetched["index"] / steps / batch}
        )


def test_outside_of_recurrences_a_sparse_matrix_is_fetched_at_each_step_unless_all_matrices_stay() -> None:
    for weights, times in ((500, 1), (501, 50)):
        where = Occurrence(50, recurrent=False, weights=weights, sums=SUMS)
        for kind in ("sparse read", "sparse fetch", "sparse outer"):
            moves = blocking(1_000).moves(of(kind, 20, 5, 64), where)
            (indices,) = [move for move in moves if move.memory == WEIGHT_MEMORY and move.bits == 6]
            assert indices.amount * 50 == close(100 * times)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_buffer_serves_each_product_with_a_sparse_matrix(batch: int) -> None:
    """Ten rows of 4 connections to 32 columns, a bundle of two vectors, all of whose sums fit the vector unit."""
    found, where = blocking(10_000, batch_parallel=batch), Occurrence(1, sums=SUMS)
    ahead = moved(found, of("sparse read", 2, 10, 4, 32), where)
    assert ahead[BUFFER, "write"] * batch == close(80 + batch * 2 * 32)
    assert ahead[BUFFER, "read"] * batch == close(80 + batch * 2 * 40)
    back = moved(found, of("sparse read transposed", 2, 10, 4, 32), where)
    assert back[BUFFER, "write"] * batch == close(80 + batch * 2 * (10 + 40))
    assert back[BUFFER, "read"] * batch == close(80 + batch * 2 * (10 + 40))


@pytest.mark.parametrize(("sums", "times"), [(5_000, 1), (5_001, 20)])
def test_sums_at_connections_cross_at_each_step_unless_all_sums_stay(sums: int, times: int) -> None:
    found, where = blocking(10_000), Occurrence(20, recurrent=False, sums=sums, weights=10)
    each = moved(found, of("sparse outer", 10, 4, 32), where)
    for way in ("read", "write"):
        assert each[GRADIENT_MEMORY, way] * 20 == close(40 * times)
    assert each[BUFFER, "read"] * 20 == close(20 * (40 + 2 * 40 + 40) + 40 * times)
    assert each[BUFFER, "write"] * 20 == close(40 + 20 * (10 + 32 + 40) + 40 * times)
