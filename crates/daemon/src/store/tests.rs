use super::*;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use tempfile::TempDir;
use tlease_core::granter::Leftovers;
use tlease_core::identity::Incarnation;
use tlease_core::time::Span;

#[test]
fn a_record_is_found_again_by_the_next_life() {
    let at = tempdir();
    let (mut store, past) = open(&at, Init::New).unwrap();
    assert!(matches!(past, Past::FirstStart { .. }));
    store.replace(&record(1)).unwrap();
    let first = fs::read(at.path().join(STATE)).unwrap();
    let mut opened_before = File::open(at.path().join(STATE)).unwrap();
    store.replace(&record(2)).unwrap();
    drop(store);
    assert_eq!(left_in(&at), record(2));

    let mut untouched = Vec::new();
    io::Read::read_to_end(&mut opened_before, &mut untouched).unwrap();
    assert_eq!(untouched, first, "the old file is replaced, not written over");
    assert!(!at.path().join(STATE_NEW).exists());
}

#[test]
fn a_missing_or_empty_directory_needs_init() {
    let at = tempdir();
    let missing = at.path().join("a/b");
    let open = |init| Store::open(&missing, init, Holders::Anywhere, None);
    assert!(matches!(open(Init::Never), Err(StoreError::NotInitialised { .. })));
    assert!(!missing.exists(), "a refused start makes nothing");

    drop(open(Init::New).unwrap());
    assert_eq!(missing.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(matches!(open(Init::Never), Err(StoreError::NotInitialised { .. })));
    // A crash between the first start and its first record leaves it new.
    let (mut store, _) = open(Init::New).unwrap();
    store.replace(&record(1)).unwrap();
    drop(store);
    assert!(matches!(open(Init::New), Err(StoreError::AlreadyInitialised { .. })));
    assert!(open(Init::IfNew).is_ok());
    assert!(open(Init::Never).is_ok());
    assert_eq!(fs::metadata(missing.join(STATE)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_directory_of_other_things_is_not_taken() {
    let at = tempdir();
    fs::write(at.path().join("thesis.tex"), "").unwrap();
    let refused = open(&at, Init::IfNew).unwrap_err();
    assert!(refused.to_string().contains("thesis.tex"), "{refused}");
}

#[test]
fn one_directory_has_one_granter() {
    let at = tempdir();
    let (store, _) = open(&at, Init::New).unwrap();
    let refused = open(&at, Init::New).unwrap_err();
    assert!(
        matches!(refused, StoreError::InUse { process: Some(id), .. } if id == std::process::id()),
        "{refused}"
    );
    drop(store);
    assert!(open(&at, Init::New).is_ok());
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let at = tempdir();
    let open_to_all = at.path().join("open");
    fs::DirBuilder::new().mode(0o700).create(&open_to_all).unwrap();
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o775)).unwrap();
    let refused = Store::open(&open_to_all, Init::New, Holders::Anywhere, None).unwrap_err();
    assert!(matches!(refused, StoreError::WritableByOthers { mode: 0o775, .. }), "{refused}");
}

#[test]
fn a_crash_before_any_step_of_a_replacement_leaves_the_old_record_or_the_new() {
    for (step, left) in [
        (Step::Create, 1),
        (Step::Write, 1),
        (Step::Sync, 1),
        (Step::Rename, 1),
        // Renamed: the old one if the machine crashes now, the new one if only the process does.
        (Step::SyncDirectory, 2),
    ] {
        let at = tempdir();
        let (mut store, _) = open(&at, Init::New).unwrap();
        store.replace(&record(1)).unwrap();
        store.fail_before = Some(step);
        let refused = store.replace(&record(2)).unwrap_err();
        assert!(refused.to_string().contains("free some space"), "{refused}");
        drop(store);
        assert_eq!(left_in(&at), record(left), "before {step:?}");
    }
}

#[test]
fn a_failed_replacement_can_be_tried_again() {
    let at = tempdir();
    let (mut store, _) = open(&at, Init::New).unwrap();
    for step in [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDirectory] {
        store.fail_before = Some(step);
        assert!(store.replace(&record(1)).is_err());
    }
    store.fail_before = None;
    store.replace(&record(2)).unwrap();
    drop(store);
    assert_eq!(left_in(&at), record(2));
}

#[test]
fn a_new_record_written_in_part_means_nothing() {
    let at = tempdir();
    let (mut store, _) = open(&at, Init::New).unwrap();
    store.replace(&record(2)).unwrap();
    let whole = fs::read(at.path().join(STATE)).unwrap();
    store.replace(&record(1)).unwrap();
    drop(store);
    for len in 0..=whole.len() {
        fs::write(at.path().join(STATE_NEW), &whole[..len]).unwrap();
        assert_eq!(left_in(&at), record(1), "{len} bytes of the next record");
    }
    let (mut store, _) = open(&at, Init::Never).unwrap();
    store.replace(&record(3)).unwrap();
    drop(store);
    assert_eq!(left_in(&at), record(3));
}

#[test]
fn a_damaged_state_is_refused_and_left_alone() {
    let at = tempdir();
    let (mut store, _) = open(&at, Init::New).unwrap();
    store.replace(&record(1)).unwrap();
    drop(store);
    let whole = fs::read(at.path().join(STATE)).unwrap();
    for damaged in [&whole[..0], &whole[..whole.len() - 1], &[0; 4096], &[b'x'; 100_000]] {
        fs::write(at.path().join(STATE), damaged).unwrap();
        for init in [Init::Never, Init::New, Init::IfNew] {
            let refused = open(&at, init).unwrap_err();
            assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        }
        assert_eq!(fs::read(at.path().join(STATE)).unwrap(), damaged);
    }
    fs::write(at.path().join(STATE), "tlease granter state, format 9\n").unwrap();
    let refused = open(&at, Init::Never).unwrap_err();
    assert!(matches!(refused, StoreError::OtherFormat { found: 9, .. }), "{refused}");
}

#[test]
fn what_the_system_refuses_is_named() {
    let at = tempdir();
    let file = at.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Store::open(&file, Init::IfNew, Holders::Anywhere, None).unwrap_err();
    assert!(refused.to_string().starts_with("cannot open the directory"), "{refused}");
    let refused = Store::open(&file.join("x"), Init::New, Holders::Anywhere, None).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
    let refused =
        Store::open(Path::new("/proc/no/such"), Init::New, Holders::Anywhere, None).unwrap_err();
    assert!(refused.to_string().starts_with("cannot make the directory"), "{refused}");
}

#[test]
fn a_boot_ends_the_leases_of_holders_that_can_only_be_on_this_machine() {
    let life = |at: &TempDir, init, holders, boot: &str, settled| {
        let boot = BootId::new(boot);
        let (mut store, past) = Store::open(at.path(), init, holders, boot).unwrap();
        let incarnation = Incarnation::new(2).unwrap();
        let settled = if settled { Some(incarnation) } else { Some(Incarnation::FIRST) };
        store.replace(&Record { incarnation, settled, ..record(1) }).unwrap();
        matches!(past, Past::AssumeHoldersGone(_))
    };
    let here = Holders::OnThisMachine;
    let anywhere = Holders::Anywhere;

    let at = tempdir();
    assert!(!life(&at, Init::New, here, "aa", false));
    assert!(!life(&at, Init::Never, here, "aa", false), "the same boot");
    assert!(life(&at, Init::Never, anywhere, "bb", false), "a new boot");
    assert!(!life(&at, Init::Never, here, "cc", false), "holders could be anywhere before");
    assert!(!life(&at, Init::Never, here, "dd", true), "and their leases were not waited out");
    assert!(life(&at, Init::Never, here, "ee", false), "but now they were");
    assert!(!life(&at, Init::Never, here, "", false), "a boot that is not known");
    assert!(!life(&at, Init::Never, here, "ff", false), "or was not");
}

fn open(at: &TempDir, init: Init) -> Result<(Store, Past), StoreError> {
    Store::open(at.path(), init, Holders::Anywhere, None)
}

fn left_in(at: &TempDir) -> Record {
    match open(at, Init::Never).unwrap().1 {
        Past::Record(record) => record,
        other @ (Past::FirstStart { .. } | Past::AssumeHoldersGone(_)) => {
            unreachable!("{other:?} without a boot")
        }
    }
}

fn record(number: u64) -> Record {
    Record {
        incarnation: Incarnation::new(number).unwrap(),
        fence_mark: number << 20,
        longest_promise: Span::from_secs(number),
        settled: None,
        leftovers: Leftovers::Possible,
        token_key: TokenKey([7; 16]),
    }
}

fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}
