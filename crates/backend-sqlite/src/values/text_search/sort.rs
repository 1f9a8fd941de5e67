//! PostgreSQL's own quicksort.
//!
//! It is not stable, and some results depend on which of two equal elements comes first: which of `a` and `a:*` counts
//! for a rank, which weight the last position keeps. So the same steps are taken here.
//!
//! Source: Bentley and McIlroy, "Engineering a Sort Function", 1993, with PostgreSQL's check for sorted input.

use std::cmp::Ordering;

/// Below so many elements an insertion sort is used.
const SMALL: usize = 7;
/// Above so many the pivot is chosen among nine.
const LARGE: usize = 40;

/// Sorts as PostgreSQL's `qsort` does, equal elements included.
pub fn sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    let mut items = items;
    loop {
        let length = items.len();
        if items.windows(2).all(|pair| compare(&pair[0], &pair[1]).is_le()) {
            return;
        }
        if length < SMALL {
            for end in 1..length {
                let mut at = end;
                while at > 0 && compare(&items[at - 1], &items[at]).is_gt() {
                    items.swap(at - 1, at);
                    at -= 1;
                }
            }
            return;
        }
        let pivot = pivot(items, compare);
        items.swap(0, pivot);
        let (less, greater) = partition(items, compare);
        // The shorter part by a call of its own, so that calls do not nest deeply.
        let (left, rest) = items.split_at_mut(less);
        let right_start = rest.len() - greater;
        let right = &mut rest[right_start..];
        if less <= greater {
            sort(left, compare);
            items = right;
        } else {
            sort(right, compare);
            items = left;
        }
    }
}

fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let length = items.len();
    let middle_of = |a: usize, b: usize, c: usize| {
        let less = |x: usize, y: usize| compare(&items[x], &items[y]).is_lt();
        if less(a, b) {
            if less(b, c) {
                b
            } else if less(a, c) {
                c
            } else {
                a
            }
        } else if less(c, b) {
            b
        } else if less(a, c) {
            a
        } else {
            c
        }
    };
    let (mut low, mut middle, mut high) = (0, length / 2, length - 1);
    if length > SMALL {
        if length > LARGE {
            let step = length / 8;
            low = middle_of(low, low + step, low + 2 * step);
            middle = middle_of(middle - step, middle, middle + step);
            high = middle_of(high - 2 * step, high - step, high);
        }
        middle = middle_of(low, middle, high);
    }
    middle
}

/// Parts the elements by the first one; gives how many are less and how many greater.
fn partition<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let length = items.len();
    // Equal ones gather at both ends: before `equal_left`, behind `equal_right`. Ends are exclusive on the right.
    let (mut equal_left, mut left, mut right, mut equal_right) = (1, 1, length, length);
    loop {
        while left < right {
            match compare(&items[left], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(equal_left, left);
                    equal_left += 1;
                }
                Ordering::Less => {}
            }
            left += 1;
        }
        while left < right {
            match compare(&items[right - 1], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(right - 1, equal_right - 1);
                    equal_right -= 1;
                }
                Ordering::Greater => {}
            }
            right -= 1;
        }
        if left >= right {
            break;
        }
        items.swap(left, right - 1);
        left += 1;
        right -= 1;
    }
    let exchange = |items: &mut [T], first: usize, second: usize, count: usize| {
        for offset in 0..count {
            items.swap(first + offset, second + offset);
        }
    };
    let count = equal_left.min(left - equal_left);
    exchange(items, 0, left - count, count);
    let count = (equal_right - right).min(length - equal_right);
    exchange(items, left, length - count, count);
    (left - equal_left, equal_right - right)
}
