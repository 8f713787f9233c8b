//! What symbols cost, by how often they occur: in 64ths of a bit, in integers that are the same on
//! every machine.

/// Units of cost in a bit.
pub(crate) const BIT: u32 = 64;
/// Log2 of [`BIT`].
const FRACTION: u32 = 6;
/// Numbers whose logarithms are in the table.
const TABLE: usize = 4096;

/// Log2 of each number in 64ths; 0 for 0.
static LOG2: [u16; TABLE] = {
    let mut table = [0; TABLE];
    let mut i = 1;
    while i < TABLE {
        table[i] = log2(i as u64);
        i += 1;
    }
    table
};

/// Log2 by repeated squaring, in 64ths.
pub(crate) const fn log2(number: u64) -> u16 {
    let whole = number.ilog2();
    // Between 1 and 2, with 31 bits behind the point.
    let mut rest = number << 31 >> whole;
    let mut log = whole as u16;
    let mut i = 0;
    while i < FRACTION {
        rest = (rest * rest) >> 31;
        log <<= 1;
        if rest >> 32 != 0 {
            rest >>= 1;
            log |= 1;
        }
        i += 1;
    }
    log
}

/// Log2 of `number` in 64ths of a bit; 0 for 0.
#[inline(always)]
pub(crate) fn log(number: u32) -> u32 {
    if number < TABLE as u32 {
        return u32::from(LOG2[number as usize]);
    }
    let shift = number.ilog2() - 11;
    u32::from(LOG2[(number >> shift) as usize]) + (shift << FRACTION)
}

/// Each number times its logarithm in 64ths.
static WEIGHTED: [u32; TABLE] = {
    let mut table = [0; TABLE];
    let mut i = 1;
    while i < TABLE {
        table[i] = i as u32 * log2(i as u64) as u32;
        i += 1;
    }
    table
};

/// `number` times its logarithm in 64ths.
#[inline(always)]
fn weighted(number: u32) -> u64 {
    match WEIGHTED.get(number as usize) {
        Some(&weighted) => weighted.into(),
        None => u64::from(number) * u64::from(log(number)),
    }
}

/// What symbols that occur so often take with an ideal code, in units, and how many of them do occur.
#[inline(always)]
pub(crate) fn total(counts: impl Iterator<Item = u32> + Clone) -> (u64, u32) {
    // Apart, so that all but the table becomes vectors.
    let (mut sum, mut used, mut any) = (0, 0, 0);
    for count in counts.clone() {
        sum += count;
        used += u32::from(count != 0);
        any |= count;
    }
    let weights: u64 = match any < TABLE as u32 {
        true => counts.map(|count| u64::from(WEIGHTED[count as usize % TABLE])).sum(),
        false => counts.map(weighted).sum(),
    };
    (weighted(sum) - weights, used)
}

/// Sets `costs` to what each symbol costs, at most `limit` bits; symbols that do not occur cost as if
/// they did half a time.
pub(crate) fn costs(counts: &[u32], limit: u32, costs: &mut [u16]) {
    let sum: u32 = counts.iter().sum();
    let all = log(2 * sum.max(1));
    for (cost, &count) in costs.iter_mut().zip(counts) {
        let own = all.saturating_sub(log((2 * count).max(1)));
        *cost = own.clamp(BIT / 2, limit * BIT) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close() {
        for number in (1..10_000).chain([65_535, 65_536, 1 << 20, 3_000_000]) {
            let exact = f64::from(number).log2() * 64.0;
            assert!((exact - f64::from(log(number))).abs() < 1.6, "{number}");
        }
        assert_eq!(log(0), 0);
    }
}
