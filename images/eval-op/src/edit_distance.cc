// Edit distances between pairs of texts, as character or word error rates need them: integers only, so that
// every processor gives the same. A text is a run of 32-bit symbols (code points, or word numbers) in one
// array; text i is symbols[offsets[i]] up to, not including, symbols[offsets[i + 1]].
#include <algorithm>
#include <cstdint>
#include <new>
#include <vector>

namespace {

// Levenshtein distance in memory of the shorter text (https://doi.org/10.1145/321796.321811, one row kept).
std::int64_t distance(const std::int32_t* first, std::int64_t rows, const std::int32_t* second,
                      std::int64_t columns, std::vector<std::int64_t>& row) {
    if (rows < columns) {
        std::swap(first, second);
        std::swap(rows, columns);
    }
    row.resize(static_cast<std::size_t>(columns) + 1);
    for (std::int64_t column = 0; column <= columns; ++column) {
        row[column] = column;
    }
    for (std::int64_t at = 1; at <= rows; ++at) {
        std::int64_t diagonal = row[0];
        row[0] = at;
        for (std::int64_t column = 1; column <= columns; ++column) {
            const std::int64_t above = row[column];
            const std::int64_t replaced = diagonal + (first[at - 1] != second[column - 1]);
            row[column] = std::min({above + 1, row[column - 1] + 1, replaced});
            diagonal = above;
        }
    }
    return row[columns];
}

bool rises(const std::int64_t* offsets, std::int64_t count) {
    for (std::int64_t at = 0; at < count; ++at) {
        if (offsets[at] < 0 || offsets[at + 1] < offsets[at]) {
            return false;
        }
    }
    return true;
}

}  // namespace

// Write `count` distances; return 0, 1 for offsets that do not rise, 2 where memory ran out.
extern "C" int eval_op_edit_distances(const std::int32_t* first, const std::int64_t* first_offsets,
                                      const std::int32_t* second, const std::int64_t* second_offsets,
                                      std::int64_t count, std::int64_t* distances) {
    if (!rises(first_offsets, count) || !rises(second_offsets, count)) {
        return 1;
    }
    try {
        std::vector<std::int64_t> row;
        for (std::int64_t at = 0; at < count; ++at) {
            distances[at] = distance(first + first_offsets[at], first_offsets[at + 1] - first_offsets[at],
                                     second + second_offsets[at], second_offsets[at + 1] - second_offsets[at], row);
        }
    } catch (const std::bad_alloc&) {
        return 2;
    }
    return 0;
}
