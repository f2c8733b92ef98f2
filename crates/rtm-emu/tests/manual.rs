//! What Intel's manual says of transactions, against the emulation.
#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each runs the few instructions that it names"
)]

use std::arch::asm;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tlease_rtm_emu::{
    Action, NotInstalled, Runs, Step, freeze_counter, install, set_hook, thaw_counter,
};

/// Hooks are for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// `None` where there is nothing to emulate.
fn emulated() -> Option<MutexGuard<'static, ()>> {
    match install() {
        Ok(_) => Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(why @ (NotInstalled::HasTransactions | NotInstalled::NoSegmentBases)) => {
            println!("skipped: {why}");
            None
        }
        Err(why @ (NotInstalled::NoHandlers | NotInstalled::CodeIsFixed)) => panic!("{why}"),
    }
}

const COMMITTED: u32 = u32::MAX;

/// Adds 1 to both words, one by a plain store and one in place. Returns the status and, if it
/// committed, what XTEST said inside (1 for "running").
fn bump(words: &[AtomicU64; 2]) -> (u32, u8) {
    let (mut status, mut inside) = (COMMITTED, 0_u8);
    unsafe {
        asm!(
            "xbegin 2f",
            "xtest", "setnz {inside}",
            "mov rcx, [{words}]", "inc rcx", "mov [{words}], rcx",
            "inc qword ptr [{words} + 8]",
            "xend",
            "2:",
            inside = inout(reg_byte) inside, words = in(reg) words, inout("eax") status, out("rcx") _,
        );
    }
    (status, inside)
}

fn values(words: &[AtomicU64; 2]) -> [u64; 2] {
    words.each_ref().map(|word| word.load(Ordering::SeqCst))
}

#[test]
fn a_transaction_commits_all_of_its_stores() {
    let Some(_alone) = emulated() else { return };
    let words = [AtomicU64::new(1), AtomicU64::new(10)];
    assert_eq!(bump(&words), (COMMITTED, 1));
    assert_eq!(values(&words), [2, 11]);
    let mut outside = 1_u8;
    unsafe { asm!("xtest", "setnz {}", inout(reg_byte) outside) };
    assert_eq!(outside, 0);
}

#[test]
fn an_interrupt_before_any_instruction_leaves_nothing() {
    static AT: AtomicU64 = AtomicU64::new(0);
    static HIT: AtomicU64 = AtomicU64::new(0);
    fn hook(step: Step) -> Action {
        if step.number == AT.load(Ordering::SeqCst) {
            HIT.fetch_add(1, Ordering::SeqCst);
            return Action::Interrupt;
        }
        Action::Continue
    }
    let Some(_alone) = emulated() else { return };
    set_hook(Some(hook));
    let words = [AtomicU64::new(1), AtomicU64::new(10)];
    let mut interrupted = 0;
    for at in 1.. {
        AT.store(at, Ordering::SeqCst);
        let hits = HIT.load(Ordering::SeqCst);
        let (status, _) = bump(&words);
        if HIT.load(Ordering::SeqCst) == hits {
            assert_eq!((status, values(&words)), (COMMITTED, [2, 11]));
            break;
        }
        interrupted += 1;
        assert_eq!((status, values(&words)), (0, [1, 10]), "interrupted before step {at}");
    }
    set_hook(None);
    assert_eq!(interrupted, 7, "the instructions from XTEST to XEND");
}

#[test]
fn nothing_is_visible_before_the_end() {
    static WORDS: [AtomicU64; 2] = [AtomicU64::new(1), AtomicU64::new(10)];
    static SEEN: AtomicU64 = AtomicU64::new(0);
    fn hook(_: Step) -> Action {
        if values(&WORDS) != [1, 10] {
            SEEN.fetch_add(1, Ordering::SeqCst);
        }
        Action::Continue
    }
    let Some(_alone) = emulated() else { return };
    set_hook(Some(hook));
    let (status, _) = bump(&WORDS);
    set_hook(None);
    assert_eq!((status, values(&WORDS), SEEN.load(Ordering::SeqCst)), (COMMITTED, [2, 11], 0));
}

#[test]
fn a_word_that_somebody_else_changed_is_a_conflict() {
    static WORDS: [AtomicU64; 2] = [AtomicU64::new(1), AtomicU64::new(10)];
    fn hook(step: Step) -> Action {
        // After the first word was read.
        if step.number == 5 {
            WORDS[0].store(100, Ordering::SeqCst);
        }
        Action::Continue
    }
    let Some(_alone) = emulated() else { return };
    set_hook(Some(hook));
    let (status, _) = bump(&WORDS);
    set_hook(None);
    assert_eq!(status, 0b110, "conflict, and a retry may help");
    assert_eq!(values(&WORDS), [100, 10]);
}

#[test]
fn xabort_restores_registers_and_says_its_code() {
    let Some(_alone) = emulated() else { return };
    let word = AtomicU64::new(1);
    let (mut status, mut register, mut vector) = (COMMITTED, 5_u64, 7.0_f64);
    unsafe {
        asm!(
            "xbegin 2f",
            "mov qword ptr [{word}], 9", "mov {register}, 6", "addsd {vector}, {vector}",
            "push {register}", "pop {register}",
            "xabort 42",
            "xend",
            "2:",
            word = in(reg) &raw const word, register = inout(reg) register,
            vector = inout(xmm_reg) vector, inout("eax") status,
        );
    }
    assert_eq!(status, 42 << 24 | 1);
    assert_eq!((register, vector), (5, 7.0));
    assert_eq!(word.load(Ordering::SeqCst), 1);
}

#[test]
fn system_calls_abort_without_a_cause() {
    let Some(_alone) = emulated() else { return };
    let mut status = COMMITTED;
    unsafe {
        asm!(
            "xbegin 2f", "mov eax, 39", "syscall", "xend", "2:",
            inout("eax") status, out("rcx") _, out("r11") _,
        );
    }
    assert_eq!(status, 0);
}

#[test]
fn a_nested_transaction_is_part_of_the_outer_one() {
    let Some(_alone) = emulated() else { return };
    let word = AtomicU64::new(1);
    let mut status = COMMITTED;
    unsafe {
        asm!(
            "xbegin 2f", "xbegin 2f", "mov qword ptr [{word}], 2", "xend", "xabort 3", "xend", "2:",
            word = in(reg) &raw const word, inout("eax") status,
        );
    }
    assert_eq!((status, word.load(Ordering::SeqCst)), (3 << 24 | 1, 1));
}

#[test]
fn a_signal_aborts_and_is_handled_afterwards() {
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn handler(_: i32) {
        HANDLED.fetch_add(1, Ordering::SeqCst);
    }
    fn hook(step: Step) -> Action {
        if step.number == 3 {
            unsafe { libc::raise(libc::SIGUSR1) };
        }
        Action::Continue
    }
    let Some(_alone) = emulated() else { return };
    unsafe { libc::signal(libc::SIGUSR1, handler as *const () as usize) };
    set_hook(Some(hook));
    let words = [AtomicU64::new(1), AtomicU64::new(10)];
    let (status, _) = bump(&words);
    set_hook(None);
    assert_eq!((status, values(&words)), (0, [1, 10]));
    assert_eq!(HANDLED.load(Ordering::SeqCst), 1);
    assert_eq!(bump(&words).0, COMMITTED, "the signal mask is as before");
}

#[test]
fn threads_have_transactions_of_their_own() {
    let Some(_alone) = emulated() else { return };
    let words = [AtomicU64::new(0), AtomicU64::new(0)];
    let commit = |times: u64| {
        for _ in 0..times {
            while bump(&words).0 != COMMITTED {}
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| commit(50));
        let other = [AtomicU64::new(0), AtomicU64::new(0)];
        for _ in 0..50 {
            assert_eq!(bump(&other).0, COMMITTED);
        }
        assert_eq!(values(&other), [50, 50]);
    });
    assert_eq!(values(&words), [50, 50]);
}

/// The counter as a transaction reads it, fenced; `None` if it was aborted.
fn counter_inside() -> Option<u64> {
    let (mut low, high): (u64, u64);
    let mut status = COMMITTED;
    unsafe {
        asm!(
            "xbegin 2f", "lfence", "rdtsc", "mov rcx, rax", "xend", "mov eax, -1", "2:",
            inout("eax") status, out("rcx") low, out("rdx") high,
        );
    }
    low &= u64::from(u32::MAX);
    (status == COMMITTED).then_some(high << 32 | low)
}

#[test]
fn a_counter_that_is_held_back_stands_inside_and_goes_on_outside() {
    let Some(_alone) = emulated() else { return };
    let committed = || (0..100).find_map(|_| counter_inside()).expect("an undisturbed one of many");
    let outside = || unsafe { core::arch::x86_64::_rdtsc() };
    let (before, inside, after) = (outside(), committed(), outside());
    assert!((before..after).contains(&inside), "{before} {inside} {after}");
    freeze_counter();
    let frozen = committed();
    assert!(frozen > after);
    assert_eq!(committed(), frozen);
    assert!(outside() > frozen);
    thaw_counter();
    assert!(committed() > frozen);
}

#[test]
fn a_step_tells_fences_from_the_counter_and_the_end() {
    static SEEN: Mutex<Vec<Runs>> = Mutex::new(Vec::new());
    fn hook(step: Step) -> Action {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if step.number == 1 {
            seen.clear();
        }
        seen.push(step.runs);
        Action::Continue
    }
    let Some(_alone) = emulated() else { return };
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).reserve(64);
    set_hook(Some(hook));
    let committed = (0..100).find_map(|_| counter_inside());
    set_hook(None);
    assert!(committed.is_some());
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*seen, [Runs::LoadFence, Runs::Counter, Runs::Other, Runs::End]);
}
