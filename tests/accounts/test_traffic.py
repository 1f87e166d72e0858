"""Computed traffic against a walk that moves every word through a buffer of limited size."""

from collections import Counter
from itertools import product as combinations
from math import ceil, sqrt
from random import Random

import pytest
from conftest import close
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts.traffic import (
    SMALLEST,
    Crossing,
    block,
    columns_together,
    gathered,
    lower_bound,
    outer_sums,
    product,
    recurrent,
    scattered,
    sparse_sums,
    square,
    windows,
)


class Buffer:
    """A buffer that refuses to hold more words than it has, and counts what crosses."""

    def __init__(self, words):
        self.words, self.held, self.crossed = words, set(), Counter()

    def read(self, operand, *index):
        """Bring a word in, unless it is there."""
        word = operand, index
        if word not in self.held:
            self.crossed[operand] += 1
            self.make(*word)

    def make(self, operand, index):
        """Hold a word that is made here."""
        self.held.add((operand, index))
        assert len(self.held) <= self.words, "the buffer is full"

    def drop(self, operand, *index):
        self.held.remove((operand, index))

    def write(self, operand, *index):
        """Send a word out."""
        self.crossed[f"{operand} written"] += 1
        self.drop(operand, *index)

    @property
    def moved(self):
        return Crossing(self.crossed["a"], self.crossed["b"], self.crossed["c"], self.crossed["c written"])


def walk(m, n, k, words, added=False):
    """C = A B, or C += A B, word by word, in the schedule that `product` says it takes."""
    if m * k + m + 1 <= words or k * n + n + 1 <= words:
        return resident(m, n, k, words, added)
    buffer, (rows, columns), done = Buffer(words), block(m, n, words), set()
    for top, left in combinations(range(0, m, rows), range(0, n, columns)):
        lines, across = range(top, min(top + rows, m)), range(left, min(left + columns, n))
        start(buffer, added, combinations(lines, across))
        for i in range(k):
            if len(lines) <= len(across):
                outer(buffer, [("a", (r, i)) for r in lines], [("b", (i, c)) for c in across])
            else:
                outer(buffer, [("b", (i, c)) for c in across], [("a", (r, i)) for r in lines])
            done |= {(r, c, i) for r in lines for c in across}
        for r, c in combinations(lines, across):
            buffer.write("c", r, c)
    assert len(done) == m * n * k  # every multiplication was carried out
    return buffer.moved


def start(buffer, added, places):
    for place in places:
        if added:
            buffer.read("c", *place)
        else:
            buffer.make("c", place)


def outer(buffer, line, others):
    """Hold a line of one operand while the other one goes by, word by word."""
    for operand, index in line:
        buffer.read(operand, *index)
    for operand, index in others:
        buffer.read(operand, *index)
        buffer.drop(operand, *index)
    for operand, index in line:
        buffer.drop(operand, *index)


def resident(m, n, k, words, added):
    """One operand stays as a whole, beside a line of sums."""
    buffer = Buffer(words)
    stays_a = m * k + m + 1 <= words
    lines, others = (range(m), range(n)) if stays_a else (range(n), range(m))
    for other in others:
        places = [(line, other) if stays_a else (other, line) for line in lines]
        start(buffer, added, places)
        for i in range(k):
            moving = ("b", (i, other)) if stays_a else ("a", (other, i))
            buffer.read(moving[0], *moving[1])
            for line in lines:
                buffer.read(*("a", line, i) if stays_a else ("b", i, line))
            buffer.drop(moving[0], *moving[1])
        for place in places:
            buffer.write("c", *place)
    return buffer.moved


SIZES = [1, 2, 3, 5, 8, 13]
BUFFERS = [3, 7, 21, 64]


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("words", BUFFERS)
def test_a_walk_moves_the_words_that_are_computed(words, added):
    for m, n, k in combinations(SIZES, SIZES, SIZES):
        assert walk(m, n, k, words, added) == product(m, n, k, words, added), (m, n, k)


def test_the_walk_refuses_a_buffer_that_is_too_small():
    buffer = Buffer(1)
    buffer.read("a", 0, 0)
    with pytest.raises(AssertionError, match="full"):
        buffer.read("b", 0, 0)


SHAPES = {
    "square": [(48, 48, 48), (96, 96, 96), (45, 45, 400), (64, 64, 512), (128, 128, 128)],
    "tall": [(4096, 64, 64), (64, 4096, 64), (64, 64, 4096), (1000, 8, 8), (2048, 16, 64)],
    "matrix and vector": [(512, 1, 512), (700, 1, 33), (33, 1, 700), (1, 1, 10), (2048, 1, 2048)],
}


@pytest.mark.parametrize("words", [64, 273, 1057, 4161])
@pytest.mark.parametrize(("m", "n", "k"), [shape for shapes in SHAPES.values() for shape in shapes])
def test_traffic_is_between_the_lower_bound_and_twice_as_much(m, n, k, words):
    assert 1 <= product(m, n, k, words).total / lower_bound(m, n, k, words) <= 2


def test_the_lower_bound_is_the_published_one_or_what_has_to_cross_at_least():
    assert lower_bound(128, 128, 128, 256) == 2 * 128**3 / 16 - 512
    assert lower_bound(2000, 1, 2000, 256) == 2000 * 2000 + 2000 + 2000


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(SMALLEST, 4000))
def test_no_schedule_beats_the_lower_bound_and_a_larger_buffer_moves_no_more(m, n, k, words):
    moved = product(m, n, k, words)
    assert moved.total >= lower_bound(m, n, k, words)
    assert product(m, n, k, words + 1).total <= moved.total
    assert product(n, m, k, words).total == moved.total  # the transposed product


def test_published_ratios():
    """Squares of 48 with 64 words take the best rectangle, 7 by 8, rather than the best square."""
    assert block(48, 48, 64) in ((7, 8), (8, 7))
    assert product(48, 48, 48, 64).total == 32_256
    assert product(48, 48, 48, 241).total == 18_432
    assert product(64, 64, 512, 1057).total == 135_168
    assert square(1057) == 32
    assert square(273) == 16


def test_a_matrix_times_a_vector_takes_a_word_for_each_multiplication():
    for words in BUFFERS:
        moved = product(40, 1, 50, words)
        assert moved.a == 40 * 50


def test_an_operand_that_fits_crosses_once():
    assert product(30, 1000, 20, 30 * 20 + 30 + 1) == Crossing(600, 20_000, 0, 30_000)
    assert product(1000, 30, 20, 30 * 20 + 30 + 1) == Crossing(20_000, 600, 0, 30_000)
    assert product(30, 1000, 20, 30 * 20 + 30).total > 600 + 20_000 + 30_000


def test_a_buffer_that_cannot_multiply_is_refused():
    with pytest.raises(ValueError, match="cannot multiply"):
        product(2, 2, 2, SMALLEST - 1)


# ---- passes ----------------------------------------------------------------------------------------------------


def walk_sums(rows, columns, steps, batch, window, words):
    """G += Σ d xᵀ, window by window."""
    moved = Counter()
    for start in range(0, steps, window):
        length = min(window, steps - start) * batch
        words_moved = walk(rows, columns, length, words, added=True)
        moved["factors"] += words_moved.a + words_moved.b
        moved["read"] += words_moved.c_read
        moved["written"] += words_moved.c_write
    return moved["factors"], moved["read"], moved["written"]


@pytest.mark.parametrize(("steps", "batch", "window"), [(1, 1, 1), (10, 1, 1), (10, 3, 4), (10, 2, 10), (7, 1, 3)])
@pytest.mark.parametrize("words", BUFFERS)
def test_sums_of_outer_products(steps, batch, window, words):
    for rows, columns in combinations((1, 4, 9), (1, 5, 8)):
        assert tuple(outer_sums(rows, columns, steps, batch, window, words)) == walk_sums(
            rows, columns, steps, batch, window, words
        )


def test_sums_at_every_step_cost_what_online_learning_costs():
    """Per multiplication 2/B words of G, and 1/bm + 1/bn of the factors."""
    found = outer_sums(4096, 4096, 10, 1, 1, 1057)
    assert (found.sums_read + found.sums_written) / (10 * 4096**2) == 2
    found = outer_sums(4096, 4096, 10, 8, 1, 1057)
    macs = 10 * 8 * 4096**2
    assert sum(found) / macs == close(2 / 8 + 1 / 32 + 1 / 32, rel=1e-3)


def test_sums_that_stay_in_the_buffer_are_written_once():
    found = outer_sums(30, 20, 50, 2, 50, 30 * 20 + 20 + 1)
    assert found == (50 * 2 * (30 + 20), 600, 600)


@pytest.mark.parametrize(("steps", "window"), [(10, 3), (10, 10), (10, 20), (1, 1), (12, 4)])
def test_windows_cut_a_pass_without_a_rest(steps, window):
    assert sum(length * times for length, times in windows(steps, window)) == steps
    assert all(0 < length <= window for length, _ in windows(steps, window))


def test_steps_taken_together_share_the_fetch_of_a_matrix():
    alone, together = (columns_together(64, 64, 100, 1, window, 1057) for window in (1, 100))
    assert alone.a == 100 * 64 * 64
    assert together == product(64, 100, 64, 1057)
    assert together.a < alone.a / 20


def walk_recurrent(n, steps, batch, pinned):
    """h ← W h, word by word: the first words of W stay, the others go by."""
    buffer = Buffer(pinned + 2 * n * batch + 1)
    for i, b in combinations(range(n), range(batch)):
        buffer.read("h", 0, i, b)
    for step in range(steps):
        for i, j in combinations(range(n), range(n)):
            buffer.read("w", i, j)
            for b in range(batch):
                if j == 0:
                    buffer.make("h", (step + 1, i, b))
            if i * n + j >= pinned:
                buffer.drop("w", i, j)
        for i, b in combinations(range(n), range(batch)):
            buffer.drop("h", step, i, b)
    for i, b in combinations(range(n), range(batch)):
        buffer.write("h", steps, i, b)
    return buffer.crossed


@pytest.mark.parametrize("pinned", [0, 10, 100, 144])
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (10, 1), (10, 3)])
def test_a_recurrent_product_fetches_what_is_not_pinned_at_every_step(steps, batch, pinned):
    crossed = walk_recurrent(12, steps, batch, pinned)
    assert crossed["w"] == recurrent(144, steps, pinned)
    assert crossed["h"] == crossed["h written"] == 12 * batch


def test_published_counts_of_a_pinned_matrix():
    """With 12 units and 10 steps: all but 100 words at each step, or nothing but the matrix itself once."""
    assert recurrent(144, 10, 100) == 540
    assert recurrent(144, 10, 143) == 153
    assert recurrent(144, 10, 1000) == 144


def test_the_bound_holds_for_large_products_too():
    m = n = k = 3000
    assert product(m, n, k, 32_768).total < 1.1 * (2 * m * n * k / sqrt(32_768))


@given(st.integers(SMALLEST, 10**7))
def test_the_square_is_the_largest_that_fits_with_a_line_and_a_number(words):
    side = square(words)
    assert side**2 + side + 1 <= words < (side + 1) ** 2 + (side + 1) + 1


@pytest.mark.parametrize(("words", "side"), [(3, 1), (6, 1), (7, 2), (12, 2), (13, 3), (273, 16)])
def test_squares_by_hand(words, side):
    assert square(words) == side


@given(st.integers(1, 40), st.integers(1, 40), st.integers(3, 200))
def test_of_blocks_that_move_as_few_words_it_is_the_one_of_the_fewest_rows(m: int, n: int, words: int) -> None:
    """Which one it is says how much of what moves is A, and how much B."""

    def moved(rows: int, columns: int) -> int:
        return ceil(n / columns) * m + ceil(m / rows) * n

    fitting = [
        (rows, columns)
        for rows in range(1, m + 1)
        for columns in range(1, n + 1)
        if rows * columns + min(rows, columns) + 1 <= words
    ]
    rows, columns = block(m, n, words)
    best = min(moved(*each) for each in fitting)
    assert moved(rows, columns) == best
    assert rows == min(rows for rows, columns in fitting if moved(rows, columns) == best)


# ---- sparse matrices -----------------------------------------------------------------------------------------


def mask(rows, columns, fan_in):
    draw = Random(rows * columns + fan_in)
    return [draw.sample(range(columns), fan_in) for _ in range(rows)]


def groups(vectors, words):
    """Vectors for whose numbers there is place beside a weight, an index and one number more."""
    together = words - 3
    return [range(first, min(first + together, vectors)) for first in range(0, vectors, together)]


@pytest.mark.parametrize("words", [4, 7, 30])
@pytest.mark.parametrize(("rows", "columns", "fan_in"), [(1, 1, 1), (3, 5, 2), (6, 4, 4), (2, 9, 5)])
@pytest.mark.parametrize("vectors", [1, 4, 9])
def test_a_walk_along_connections_moves_the_words_that_are_computed(rows, columns, fan_in, vectors, words):
    """Y = W X, Y = Wᵀ E and G += E Xᵀ with registers for so many words, nonzero by nonzero."""
    places, ahead, back, outer_ = mask(rows, columns, fan_in), Buffer(words), Buffer(words), Buffer(4)
    for group, (i, row) in combinations(groups(vectors, words), enumerate(places)):
        start(ahead, False, [(i, v) for v in group])
        for v in group:
            back.read("e", i, v)
        for k, j in enumerate(row):
            for registers in (ahead, back):
                registers.read("weight", i, k)
                registers.read("index", i, k)
            for v in group:
                ahead.read("x", j, v)
                ahead.drop("x", j, v)
                back.read("sum", j, v)
                back.write("sum", j, v)
            for registers in (ahead, back):
                registers.drop("weight", i, k)
                registers.drop("index", i, k)
        for v in group:
            ahead.write("c", i, v)
            back.drop("e", i, v)
    for i, row in enumerate(places):
        for k, j in enumerate(row):
            outer_.read("index", i, k)
            outer_.read("sum", i, k)
            for v in range(vectors):
                outer_.read("e", i, v)
                outer_.read("x", j, v)
                outer_.drop("e", i, v)
                outer_.drop("x", j, v)
            outer_.write("sum", i, k)
            outer_.drop("index", i, k)
    crossed = ahead.crossed
    assert gathered(rows, fan_in, vectors, words) == (crossed["weight"], crossed["x"], crossed["sum"])
    assert crossed["index"] == crossed["weight"]
    crossed = back.crossed
    assert scattered(rows, fan_in, vectors, words) == (crossed["weight"], crossed["e"], crossed["sum"])
    assert crossed["index"] == crossed["weight"]
    assert crossed["sum written"] == crossed["sum"]
    crossed = outer_.crossed
    assert sparse_sums(rows, fan_in, vectors) == (crossed["index"], crossed["e"] + crossed["x"], crossed["sum"])
    assert crossed["sum written"] == crossed["sum"]
