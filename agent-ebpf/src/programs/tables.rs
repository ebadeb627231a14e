//! Tables, as programs use them: see [`weir_agent_ebpf::table`].

use core::arch::asm;
use core::intrinsics::{AtomicOrdering, atomic_cxchg};

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use weir_agent_ebpf::layout::{Device, DiskStart, RequestStart, Start};
use weir_agent_ebpf::table::{CLAIMED, Keys, Table, WAYS, other, set_of};

use super::common;
use super::record::add_to;

/// User space maps the memory of tables.
const SHARED: u32 = BPF_F_MMAPABLE;

#[map]
static BIO_KEYS: Array<Keys> = Array::with_max_entries(1, SHARED);
#[map]
static BIOS: Array<Start> = Array::with_max_entries(1, SHARED);
#[map]
static REQUEST_KEYS: Array<Keys> = Array::with_max_entries(1, SHARED);
#[map]
static REQUESTS: Array<DiskStart> = Array::with_max_entries(1, SHARED);
#[map]
static TARGET_KEYS: Array<Keys> = Array::with_max_entries(1, SHARED);
#[map]
static TARGETS: Array<RequestStart> = Array::with_max_entries(1, SHARED);
#[map]
static DEVICE_KEYS: Array<Keys> = Array::with_max_entries(1, SHARED);
#[map]
static DEVICES: Array<Device> = Array::with_max_entries(1, SHARED);

/// Sets of the table of devices, whose size is chosen when the maps are made.
#[unsafe(no_mangle)]
pub(crate) static DEVICE_SETS: Global<u32> = Global::new(2);
/// Sets of each other table.
#[unsafe(no_mangle)]
pub(crate) static START_SETS: Global<u32> = Global::new(2);

/// A table and its maps. (A value that held them would stand in the object's data, where no loader puts maps.)
pub(crate) trait Maps {
    type Value: Copy + 'static;
    const TABLE: Table;
    fn keys() -> &'static Array<Keys>;
    fn values() -> &'static Array<Self::Value>;
    fn sets() -> u32;
}

macro_rules! table {
    ($name:ident, $value:ty, $keys:ident, $values:ident, $sets:expr) => {
        pub(crate) struct $name;
        impl Maps for $name {
            type Value = $value;
            const TABLE: Table = Table::$name;
            #[inline(always)]
            fn keys() -> &'static Array<Keys> {
                &$keys
            }
            #[inline(always)]
            fn values() -> &'static Array<$value> {
                &$values
            }
            #[inline(always)]
            fn sets() -> u32 {
                $sets
            }
        }
    };
}
table!(Bios, Start, BIO_KEYS, BIOS, START_SETS.load());
table!(
    Requests,
    DiskStart,
    REQUEST_KEYS,
    REQUESTS,
    START_SETS.load()
);
table!(
    Targets,
    RequestStart,
    TARGET_KEYS,
    TARGETS,
    START_SETS.load()
);
table!(Devices, Device, DEVICE_KEYS, DEVICES, DEVICE_SETS.load());

/// Where a key stands.
pub(crate) struct Place {
    key: *mut u64,
    index: u32,
    is_displaced: bool,
}

impl Place {
    #[inline(always)]
    pub(crate) fn value<T: Maps>(&self) -> Option<*mut T::Value> {
        T::values().get_ptr_mut(self.index)
    }
}

/// Where a key stands, if it does.
#[inline(always)]
pub(crate) fn find<T: Maps>(key: u64) -> Option<Place> {
    if matches!(T::TABLE, Table::Requests) && known::<T>(Counter::All) == 0 {
        return None;
    }
    if key == 0 {
        // It stands for an empty place: a bio's `bi_private` may be no pointer at all.
        return None;
    }
    Set::home::<T>(key)?.find::<T>(key)
}

/// A set of a table, which a key belongs to.
pub(crate) struct Set {
    number: u32,
    keys: *mut u64,
}

impl Set {
    /// The one that a key stands in, unless it is full.
    #[inline(always)]
    pub(crate) fn home<T: Maps>(key: u64) -> Option<Self> {
        Set::of::<T>(set_of(key, T::sets()))
    }

    #[inline(always)]
    fn of<T: Maps>(number: u32) -> Option<Self> {
        let keys = T::keys().get_ptr_mut(number)?.cast::<u64>();
        Some(Set { number, keys })
    }

    /// Where a key stands, if it does, of which this is the home. (Not 0.)
    #[inline(always)]
    pub(crate) fn find<T: Maps>(&self, key: u64) -> Option<Place> {
        if let Some(place) = self.find_here(key, false) {
            return Some(place);
        }
        if known::<T>(Counter::Displaced) == 0 {
            return None;
        }
        Set::of::<T>(other(self.number))?.find_here(key, true)
    }

    #[inline(always)]
    fn find_here(&self, wanted: u64, is_displaced: bool) -> Option<Place> {
        for way in 0..WAYS {
            // SAFETY: the verifier has checked the pointer to eight keys. Others write them meanwhile, whole.
            let key = unsafe { self.keys.add(way as usize) };
            // SAFETY: as above.
            if unsafe { key.read_volatile() } == wanted {
                return Some(Place {
                    key,
                    index: self.number * WAYS + way,
                    is_displaced,
                });
            }
        }
        None
    }

    /// Puts a key that is not there, of which this is the home, and its value; false if there is no room.
    #[inline(always)]
    pub(crate) fn put<T: Maps>(&self, key: u64, value: &T::Value) -> bool {
        let mut place = self.claim(key, false);
        if place.is_none() {
            place = Set::of::<T>(other(self.number)).and_then(|set| set.claim(key, true));
            if place.is_some() {
                count::<T>(Counter::Displaced, 1);
            }
        }
        let Some(place) = place else {
            return false;
        };
        let Some(room) = place.value::<T>() else {
            return false;
        };
        store(room, value);
        // The compiler must not move the value's stores behind the key's. (It has no fence for this target.)
        // SAFETY: no instruction.
        unsafe { asm!("", options(nostack, preserves_flags)) };
        // SAFETY: as in `find_here`.
        unsafe { place.key.write_volatile(key) };
        if matches!(T::TABLE, Table::Requests) {
            count::<T>(Counter::All, 1);
        }
        true
    }

    /// Claims a place for a key, which stands there as taken until its value does.
    #[inline(always)]
    fn claim(&self, wanted: u64, is_displaced: bool) -> Option<Place> {
        for way in 0..WAYS {
            // SAFETY: as in `find_here`.
            let key = unsafe { self.keys.add(way as usize) };
            // SAFETY: as above.
            if unsafe { key.read_volatile() } == 0 && exchange(key, 0, wanted | CLAIMED) {
                return Some(Place {
                    key,
                    index: self.number * WAYS + way,
                    is_displaced,
                });
            }
        }
        None
    }
}

/// Word by word, since the compiler makes a call of `memset` of what is 0, and here that is a function as slow as all the rest.
#[inline(always)]
pub(crate) fn store<V: Copy>(room: *mut V, value: &V) {
    let (room, words) = (room.cast::<u64>(), (&raw const *value).cast::<u64>());
    for word in 0..size_of::<V>() / size_of::<u64>() {
        // SAFETY: the verifier has checked the pointer to a value, which consists of words; nobody looks at it yet.
        unsafe { room.add(word).write_volatile(words.add(word).read()) };
    }
}

/// Copies a value, then gives up its key. Only who gave it up may use the copy: the agent may age the entry out at the same
/// moment, and its place may then be another one's.
#[inline(always)]
pub(crate) fn take<T: Maps>(place: &Place, key: u64) -> Option<T::Value> {
    let value = place.value::<T>()?;
    // SAFETY: the verifier has checked the pointer; and as said above.
    let copy = unsafe { *value };
    release::<T>(place, key).then_some(copy)
}

/// Gives up a key; whether nobody was faster.
#[inline(always)]
pub(crate) fn release<T: Maps>(place: &Place, key: u64) -> bool {
    if !exchange(place.key, key, 0) {
        return false;
    }
    if place.is_displaced {
        count::<T>(Counter::Displaced, 1_u64.wrapping_neg());
    }
    if matches!(T::TABLE, Table::Requests) {
        count::<T>(Counter::All, 1_u64.wrapping_neg());
    }
    true
}

#[inline(always)]
fn exchange(key: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: a pointer into a map's value that the verifier has checked.
    unsafe {
        atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(key, old, new)
    }
    .1
}

/// What is known of a table.
#[derive(Clone, Copy)]
enum Counter {
    /// Keys that stand in the other set of their pair.
    Displaced,
    /// All keys, which are counted of [`Requests`] alone.
    All,
}

/// Where it stands.
#[inline(always)]
fn counter<T: Maps>(counter: Counter) -> Option<*mut u64> {
    let common = common()?;
    // SAFETY: the verifier has checked the pointer.
    Some(unsafe {
        match counter {
            Counter::Displaced => (&raw mut (*common).displaced)
                .cast::<u64>()
                .add(T::TABLE as usize),
            Counter::All => &raw mut (*common).requests,
        }
    })
}

#[inline(always)]
fn known<T: Maps>(of: Counter) -> u64 {
    // SAFETY: the verifier has checked the pointer.
    counter::<T>(of).map_or(0, |counter| unsafe { counter.read_volatile() })
}

#[inline(always)]
fn count<T: Maps>(of: Counter, change: u64) {
    if let Some(counter) = counter::<T>(of) {
        add_to(counter, change);
    }
}
