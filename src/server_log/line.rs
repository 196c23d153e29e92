//! The lines of a log.

use std::io::{self, BufRead};

/// Of a line that is longer (bytes), the rest is left out.
const LONGEST: u64 = 16 << 20;

/// Reads the next line without its end; whether there is one.
pub(super) fn next(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = io::Read::take(&mut *log, LONGEST).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() as u64 == LONGEST {
        log.skip_until(b'\n')?;
    }
    // What was cut off while the server had it open begins with a hole, which reads as NULs.
    let hole = line.iter().take_while(|byte| **byte == 0).count();
    line.drain(..hole);
    Ok(read > 0)
}
