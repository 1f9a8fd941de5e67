//! A text as a QR code, drawn as SVG.

use std::fmt::Write;

use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around the code (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;
/// Pixels of a module, unless the page says otherwise.
const SCALE: usize = 4;

/// Draws `text`. `None`: it is too long for a code.
///
/// Clients put the picture behind `data:image/svg+xml;utf-8,` as it is, so there is no `#` and no `%` in it.
pub fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let side = width + 2 * QUIET;
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        while x < width {
            let run = row[x..].iter().take_while(|color| **color == Color::Dark).count();
            if run > 0 {
                // Writing to a text cannot fail.
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run.max(1);
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"white\" d=\"M0 0h{side}v{side}h-{side}z\"/>\
         <path fill=\"black\" d=\"{path}\"/></svg>",
        pixels = side * SCALE
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules that the path of a picture paints: column and row, without the white around them.
    fn painted(svg: &str) -> Vec<(usize, usize)> {
        let path = svg.rsplit_once("d=\"").unwrap().1.split('"').next().unwrap();
        let mut modules = Vec::new();
        for run in path.split('z').filter(|run| !run.is_empty()) {
            let (at, length) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let length: usize = length.split('v').next().unwrap().parse().unwrap();
            modules.extend((x..x + length).map(|x| (x - QUIET, y - QUIET)));
        }
        modules
    }

    #[test]
    fn somebody_elses_reader_reads_it() {
        for text in [
            "a",
            "otpauth://totp/A%3A%20shop:ann%40example.com?secret=ABC&issuer=A",
            &"x".repeat(900),
        ] {
            let svg = svg(text).unwrap();
            assert!(!svg.contains(['#', '%', '\n']), "{svg}");
            let dark = painted(&svg);
            let width = dark.iter().map(|(x, _)| x + 1).max().unwrap();
            let grid = rqrr::SimpleGrid::from_func(width, |x, y| dark.contains(&(x, y)));
            let (_, read) = rqrr::Grid::new(grid).decode().unwrap();
            assert_eq!(read, text);
        }
        assert!(svg(&"x".repeat(4_000)).is_none());
    }
}
