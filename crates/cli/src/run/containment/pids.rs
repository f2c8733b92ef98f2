//! Lists of process numbers, as the kernel writes them: read without allocating.

use nix::unistd::Pid;
use rustix::io::{Errno, read};
use std::os::fd::AsFd;

/// Calls `each` with every number in `file`, from where it stands to its end.
///
/// # Errors
/// As `read`; the numbers before the error have been seen.
pub(super) fn for_each(file: impl AsFd, mut each: impl FnMut(Pid)) -> Result<(), Errno> {
    let mut numbers = Numbers::default();
    let mut buffer = [0; 4096];
    loop {
        let length = match read(&file, &mut buffer[..]) {
            Ok(0) => break,
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        for byte in buffer.iter().take(length) {
            numbers.feed(*byte).map(&mut each);
        }
    }
    numbers.end().map(&mut each);
    Ok(())
}

/// Decimal numbers between any other bytes; one may be cut by the end of a buffer.
#[derive(Debug, Default)]
struct Numbers {
    unfinished: Option<i32>,
}

impl Numbers {
    fn feed(&mut self, byte: u8) -> Option<Pid> {
        if !byte.is_ascii_digit() {
            return self.end();
        }
        let digit = i32::from(byte - b'0');
        // The kernel's numbers end at 2^22.
        self.unfinished =
            Some(self.unfinished.unwrap_or(0).saturating_mul(10).saturating_add(digit));
        None
    }

    fn end(&mut self) -> Option<Pid> {
        // 0 stands for a process outside this PID namespace; as a target of kill it is ourselves.
        self.unfinished.take().filter(|number| *number > 1).map(Pid::from_raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    fn read_back(text: &str) -> Vec<i32> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut pids = Vec::new();
        for_each(&file, |pid| pids.push(pid.as_raw())).unwrap();
        pids
    }

    #[test]
    fn numbers_are_read_whatever_separates_them() {
        assert_eq!(read_back("12 345 \n6"), [12, 345, 6]);
        assert_eq!(read_back(""), Vec::<i32>::new());
    }

    #[test]
    fn numbers_that_would_hit_the_killer_or_init_are_left_out() {
        assert_eq!(read_back("0\n1\n2\n"), [2]);
    }

    #[test]
    fn numbers_survive_the_end_of_a_buffer() {
        let many: Vec<i32> = (1_000_000..1_002_000).collect();
        let text: String = many.iter().map(|pid| format!("{pid}\n")).collect();
        assert_eq!(read_back(&text), many);
    }
}
