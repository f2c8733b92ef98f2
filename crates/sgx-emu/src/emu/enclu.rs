//! The leaves of ENCLU, as far as an enclave of this target uses them.

use super::cpu;
use super::frame::{self, Bases, Registers};
use super::keys;
use super::table::{self, Thread};
use super::{accept, steps, tsc};
use std::sync::atomic::Ordering::SeqCst;

pub(super) const ENCLU: [u8; 3] = [0x0f, 0x01, 0xd7];
const LENGTH: u64 = 3;

const EREPORT: u64 = 0;
const EGETKEY: u64 = 1;
const EENTER: u64 = 2;
pub(super) const ERESUME: u64 = 3;
const EEXIT: u64 = 4;
const EACCEPT: u64 = 5;

/// What only hardware would do next: deliver a fault.
#[derive(Debug)]
pub(super) struct GeneralProtection;

/// ENCLU outside: the way in.
pub(super) fn outside(registers: &mut Registers<'_>) -> Result<(), GeneralProtection> {
    let thread = table::by_tcs(registers.get(libc::REG_RBX)).ok_or(GeneralProtection)?;
    let outside = Bases { fs: cpu::fs(), gs: cpu::gs() };
    let aep = registers.get(libc::REG_RCX);
    let (frame, frames) = frame::current(thread);
    let inside = match registers.get(libc::REG_RAX) {
        EENTER => {
            let is_entered = thread.is_entered.load(SeqCst);
            // With every frame full there is nowhere to save the next exit.
            if frame >= frames || (is_entered && frame == 0) {
                return Err(GeneralProtection);
            }
            frame::note_stack(thread, registers);
            let (entry, bases) = frame::entry(thread);
            let next = registers.get(libc::REG_RIP) + LENGTH;
            registers.set(libc::REG_RAX, frame);
            registers.set(libc::REG_RCX, next);
            registers.set(libc::REG_RIP, entry);
            bases
        }
        ERESUME => frame::restore(thread, registers).ok_or(GeneralProtection)?,
        _ => return Err(GeneralProtection),
    };
    thread.aep.store(aep, SeqCst);
    thread.outside_fs.store(outside.fs, SeqCst);
    thread.outside_gs.store(outside.gs, SeqCst);
    thread.is_entered.store(true, SeqCst);
    registers.set_stepping(steps::goes_on(thread));
    arrive(thread, inside);
    Ok(())
}

/// ENCLU inside.
pub(super) fn inside(
    thread: &Thread,
    registers: &mut Registers<'_>,
) -> Result<(), GeneralProtection> {
    let operands = [libc::REG_RBX, libc::REG_RCX, libc::REG_RDX].map(|at| registers.get(at));
    let identity = thread.enclave().identity.get().ok_or(GeneralProtection)?;
    match registers.get(libc::REG_RAX) & 0xffff_ffff {
        EEXIT => {
            registers.set(libc::REG_RIP, operands[0]);
            registers.set(libc::REG_RCX, thread.aep.load(SeqCst));
            registers.set_stepping(false);
            thread.is_entered.store(false, SeqCst);
            leave(thread);
            return Ok(());
        }
        EREPORT => keys::report(identity, operands).ok_or(GeneralProtection)?,
        EGETKEY => {
            let error = keys::key(identity, operands).ok_or(GeneralProtection)?;
            set_result(registers, error);
        }
        EACCEPT => {
            let error = accept::accept(thread, operands)?;
            set_result(registers, error);
        }
        // Leaves for pages that change, among others: no enclave of this target uses them.
        _ => return Err(GeneralProtection),
    }
    registers.set(libc::REG_RIP, registers.get(libc::REG_RIP) + LENGTH);
    Ok(())
}

/// An asynchronous exit: all of it, up to the instruction at the AEP.
pub(super) fn exit(thread: &Thread, registers: &mut Registers<'_>, exit_info: u32) {
    frame::save(thread, registers, Bases { fs: cpu::fs(), gs: cpu::gs() }, exit_info);
    let aep = thread.aep.load(SeqCst);
    registers.set(libc::REG_RAX, ERESUME);
    registers.set(libc::REG_RBX, thread.tcs.load(SeqCst) as u64);
    registers.set(libc::REG_RCX, aep);
    registers.set(libc::REG_RIP, aep);
    thread.exits.fetch_add(1, SeqCst);
    leave(thread);
}

fn arrive(thread: &Thread, inside: Bases) {
    super::preempt::watch(thread, true);
    tsc::hide(true);
    cpu::set_bases(inside);
}

fn leave(thread: &Thread) {
    tsc::hide(false);
    super::preempt::watch(thread, false);
    let (fs, gs) = (thread.outside_fs.load(SeqCst), thread.outside_gs.load(SeqCst));
    cpu::set_bases(Bases { fs, gs });
}

/// RAX and ZF as leaves that can fail leave them.
fn set_result(registers: &mut Registers<'_>, error: u32) {
    const STATUS: u64 = 0x8d5;
    const ZERO: u64 = 0x40;
    let flags = registers.get(libc::REG_EFL) & !STATUS;
    registers.set(libc::REG_RAX, error.into());
    registers.set(libc::REG_EFL, if error == 0 { flags } else { flags | ZERO });
}
