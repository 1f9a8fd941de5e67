//! Fills the shop: the seed's rows first, then as many more as asked, as SQL of multi-row INSERTs.
//!
//! Invariant: the same number of orders gives the same bytes, on every machine.

use crate::process::say;
use crate::workspace::{root, target};
use crate::{Arguments, Context, Error, Result};
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

const ROWS_PER_INSERT: usize = 500;
/// Pairs that the load gets.
const PAIRS: usize = 2_000;
/// What the seed brings by itself.
const SEED: Counts = Counts {
    customers: 10,
    products: 12,
    orders: 30,
};
/// One customer for so many orders, one more product for so many.
const ORDERS_PER_CUSTOMER: u64 = 100;
const ORDERS_PER_PRODUCT: u64 = 500;
const FIRST_ORDER_SECONDS: u64 = 1_775_001_600; // 2026-04-01T00:00:00Z, after the seed's last order
const SECONDS_BETWEEN_ORDERS: u64 = 97;

/// How many rows of each kind a data set has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    pub customers: u64,
    pub products: u64,
    pub orders: u64,
}

impl Counts {
    pub fn for_orders(orders: u64) -> Self {
        Counts {
            customers: SEED.customers.max(orders / ORDERS_PER_CUSTOMER),
            products: SEED.products + orders / ORDERS_PER_PRODUCT,
            orders,
        }
    }
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let orders = arguments
        .number("--orders")?
        .ok_or_else(|| Error::new("`--orders N` is needed"))?;
    let out = arguments.value("--out")?;
    arguments.finish()?;
    let path = out.map_or_else(|| target().join("shop").join(format!("seed-{orders}.sql")), Into::into);
    let counts = write(&path, orders)?;
    say(format_args!(
        "{} customers, {} products, {} orders: {}",
        counts.customers,
        counts.products,
        orders,
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The id of the `number`-th customer, from 1.
pub fn customer_id(number: u64) -> String {
    format!("{number:08}-0000-4000-8000-{number:012}")
}

/// Writes the file. Errors: fewer orders than the seed has, or the disk.
pub fn write(path: &Path, orders: u64) -> Result<Counts> {
    if orders < SEED.orders {
        return Err(Error::new(format!("the seed alone has {} orders", SEED.orders)));
    }
    let seed = root().join("examples/shop/supabase/seed.sql");
    let seed = std::fs::read_to_string(&seed).context(seed.display())?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = BufWriter::new(std::fs::File::create(path).context(path.display())?);
    let counts = Counts::for_orders(orders);
    let (rows, resets) = seed
        .split_once("\n-- The rows above chose their own ids")
        .unwrap_or((&seed, ""));
    writeln!(out, "{rows}")?;

    let mut prices = seed_prices(rows)?;
    let mut random = Random(0x5eed_0000_0000_0001);
    let customers = (SEED.customers + 1..=counts.customers).map(|number| {
        let city = CITIES[random.below(CITIES.len() as u64) as usize];
        format!(
            "'{}', 'Customer {number}', 'customer{number}@example.com', '{city}', '2026-02-01T09:00:00+00:00'",
            customer_id(number)
        )
    });
    insert(&mut out, "customers (id, name, email, city, created_at)", customers)?;

    let mut random = Random(0x5eed_0000_0000_0002);
    let products: Vec<String> = (SEED.products + 1..=counts.products)
        .map(|number| {
            let cents = 199 + random.below(20_000);
            prices.push(cents);
            format!(
                "{number}, 'Product {number}', 'Number {number} of the catalogue.', {}, {}",
                money(cents),
                random.below(200)
            )
        })
        .collect();
    insert(
        &mut out,
        "products (id, name, description, price, stock)",
        products.into_iter(),
    )?;

    let mut random = Random(0x5eed_0000_0000_0003);
    let rows = (SEED.orders + 1..=orders).map(|number| {
        let customer = customer_id(1 + random.below(counts.customers));
        let status = match (random.below(100), orders - number) {
            (0..6, _) => "cancelled",
            (_, 0..50) => "pending",
            (_, 50..200) => "paid",
            (_, 200..800) => "shipped",
            _ => "delivered",
        };
        let placed = timestamp(FIRST_ORDER_SECONDS + number * SECONDS_BETWEEN_ORDERS + random.below(60));
        let note = if random.below(10) == 0 {
            format!("'Note {number}'")
        } else {
            "null".to_owned()
        };
        format!("{number}, '{customer}', '{status}', '{placed}', {note}")
    });
    insert(&mut out, "orders (id, customer_id, status, placed_at, note)", rows)?;

    let mut random = Random(0x5eed_0000_0000_0004);
    let lines = (SEED.orders + 1..=orders).flat_map(|order| {
        let mut chosen: Vec<u64> = (0..1 + random.below(5))
            .map(|_| 1 + random.below(counts.products))
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        let mut lines = Vec::with_capacity(chosen.len());
        for product in chosen {
            let price = money(prices[product as usize - 1]);
            lines.push(format!("{order}, {product}, {}, {price}", 1 + random.below(4)));
        }
        lines
    });
    insert(
        &mut out,
        "order_items (order_id, product_id, quantity, unit_price)",
        lines,
    )?;

    if !resets.is_empty() {
        writeln!(
            out,
            "alter sequence products_id_seq restart with {};",
            counts.products + 1
        )?;
        writeln!(out, "alter sequence orders_id_seq restart with {};", orders + 1)?;
    }
    out.flush().context(path.display())?;
    Ok(counts)
}

/// Lines `order,customer` spread over the orders of a file that `write` made, for the load.
pub fn pairs(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).context(path.display())?;
    let mut pairs = Vec::new();
    for statement in text
        .split("insert into ")
        .filter(|statement| statement.starts_with("orders "))
    {
        for row in statement.lines().filter_map(|line| line.strip_prefix("  (")) {
            let mut values = row.split(", ");
            if let (Some(order), Some(customer)) = (values.next(), values.next()) {
                pairs.push(format!("{order},{}\n", customer.trim_matches('\'')));
            }
        }
    }
    let step = (pairs.len() / PAIRS).max(1);
    Ok(pairs.into_iter().step_by(step).collect())
}

const CITIES: [&str; 8] = ["Lyon", "Graz", "Turin", "Gdynia", "Izmir", "Galway", "Porto", "Kassel"];

fn insert(out: &mut impl Write, target: &str, rows: impl Iterator<Item = String>) -> Result<()> {
    let mut in_statement = 0;
    for row in rows {
        match in_statement {
            0 => write!(out, "insert into {target} values\n  ({row})")?,
            _ => write!(out, ",\n  ({row})")?,
        }
        in_statement += 1;
        if in_statement == ROWS_PER_INSERT {
            writeln!(out, ";")?;
            in_statement = 0;
        }
    }
    if in_statement > 0 {
        writeln!(out, ";")?;
    }
    Ok(())
}

/// The seed's prices in cents, by product. The lines of an order must cost what the product costs.
fn seed_prices(seed: &str) -> Result<Vec<u64>> {
    let products = seed.split("insert into products").nth(1);
    let products = products.ok_or_else(|| Error::new("the seed inserts no products"))?;
    let mut prices = Vec::new();
    for line in products
        .lines()
        .filter(|line| line.starts_with("  ("))
        .take(SEED.products as usize)
    {
        let price = line
            .trim_end_matches([',', ';', ')'])
            .rsplit(", ")
            .nth(1)
            .unwrap_or_default();
        prices.push(
            price
                .replace('.', "")
                .parse()
                .context(format_args!("the price in `{line}`"))?,
        );
    }
    Ok(prices)
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Seconds since 1970 as PostgreSQL prints a `timestamptz` in JSON, UTC.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn timestamp(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    let _ = write!(
        text,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00"
    );
    text
}

/// splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_its_instant() {
        assert_eq!(timestamp(FIRST_ORDER_SECONDS), "2026-04-01T00:00:00+00:00");
        assert_eq!(timestamp(951_826_799), "2000-02-29T12:19:59+00:00");
        assert_eq!(timestamp(0), "1970-01-01T00:00:00+00:00");
    }

    #[test]
    fn the_same_number_gives_the_same_bytes_and_the_right_rows() {
        let folder = crate::process::Scratch::new("shop-data-test").unwrap();
        let (first, second) = (folder.path().join("1.sql"), folder.path().join("2.sql"));
        let counts = write(&first, 2_000).unwrap();
        write(&second, 2_000).unwrap();
        let text = std::fs::read_to_string(&first).unwrap();
        assert_eq!(text, std::fs::read_to_string(&second).unwrap());
        assert_eq!(
            counts,
            Counts {
                customers: 20,
                products: 16,
                orders: 2_000
            }
        );
        assert!(text.contains("\n  (2000, '") && !text.contains("\n  (2001, '"));
        assert!(text.ends_with("alter sequence orders_id_seq restart with 2001;\n"));
        assert!(write(&first, 3).is_err());

        let pairs = pairs(&second).unwrap();
        assert_eq!(pairs.lines().count(), 2_000);
        assert_eq!(pairs.lines().next(), Some("1,00000001-0000-4000-8000-000000000001"));
    }

    #[test]
    fn the_seeds_prices_are_read() {
        let seed = std::fs::read_to_string(root().join("examples/shop/supabase/seed.sql")).unwrap();
        let prices = seed_prices(&seed).unwrap();
        assert_eq!((prices.len() as u64, prices[0]), (SEED.products, 3_450));
    }
}
