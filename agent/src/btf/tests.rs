//! Against a small kernel written by hand, with a module that continues it.

use super::*;
use proptest::prelude::*;
use weir_agent_ebpf::kernel;

/// Writes BTF.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    first_string: u32,
}

impl Builder {
    fn kernel() -> Self {
        let mut builder = Builder::default();
        builder.strings.push(0);
        builder
    }

    fn module_of(kernel: &[u8]) -> Self {
        let length = u32::from_ne_bytes(kernel[20..24].try_into().unwrap());
        Builder {
            first_string: length,
            ..Builder::default()
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let offset = self.first_string + u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(name.bytes().chain([0]));
        offset
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(word.to_ne_bytes());
        }
    }

    fn structure(&mut self, name: &str, members: &[(&str, u32, u32)], bit_sizes: bool) {
        let name = self.name(name);
        let count = u32::try_from(members.len()).unwrap();
        self.words(&[name, u32::from(bit_sizes) << 31 | 4 << 24 | count, 64]);
        for (name, type_id, offset) in members {
            let name = self.name(name);
            self.words(&[name, *type_id, *offset]);
        }
    }

    fn plain(&mut self, kind: u32, count: u32, type_id: u32, trailing: &[u32]) {
        self.words(&[0, kind << 24 | count, type_id]);
        self.words(trailing);
    }

    fn enumeration(&mut self, values: &[(&str, u32)]) {
        let count = u32::try_from(values.len()).unwrap();
        self.words(&[0, 6 << 24 | count, 4]);
        for (name, value) in values {
            let name = self.name(name);
            self.words(&[name, *value]);
        }
    }

    fn finish(self) -> Vec<u8> {
        let types = u32::try_from(self.types.len()).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let mut data = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            data.extend(u32::to_ne_bytes(word));
        }
        data.extend(self.types);
        data.extend(self.strings);
        data
    }
}

fn kernel_btf() -> Vec<u8> {
    let mut kernel = Builder::kernel();
    kernel.plain(1, 0, 4, &[32]); // 1: an integer
    kernel.structure(
        "bvec_iter",
        &[("bi_sector", 1, 0), ("bi_size", 1, 64)],
        false,
    ); // 2
    kernel.plain(8, 0, 2, &[]); // 3: a typedef of 2
    kernel.structure("", &[("inner", 1, 32)], false); // 4: anonymous
    kernel.structure(
        "bio",
        &[
            ("bi_bdev", 1, 64),
            ("bi_iter", 3, 256),
            ("", 4, 512),
            ("flag", 1, 1 << 24 | 8),
        ],
        true,
    ); // 5
    kernel.enumeration(&[("REQ_OP_READ", 0), ("REQ_OP_WRITE_ZEROES", 9)]); // 6
    kernel.plain(13, 2, 1, &[0, 1, 0, 1]); // 7: a function's prototype
    kernel.plain(3, 0, 0, &[1, 1, 8]); // 8: an array
    kernel.finish()
}

fn module_btf(kernel: &[u8]) -> Vec<u8> {
    let mut module = Builder::module_of(kernel);
    // Type 9. Its member is the kernel's bio.
    module.structure(
        "nvmet_req",
        &[("ns", 1, 256), ("inline_bio", 5, 512)],
        false,
    );
    module.finish()
}

fn written(kernel: &[u8], module: Option<&[u8]>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vmlinux"), kernel).unwrap();
    if let Some(module) = module {
        std::fs::write(dir.path().join("nvmet"), module).unwrap();
    }
    dir
}

#[test]
fn members_are_found_directly_nested_and_in_anonymous_structs() {
    let dir = written(&kernel_btf(), None);
    let btf = Btf::of_kernel(dir.path()).unwrap();
    assert_eq!(btf.offset("bio", "bi_bdev"), Some(8));
    assert_eq!(btf.offset("bio", "bi_iter.bi_size"), Some(32 + 8));
    assert_eq!(btf.offset("bio", "inner"), Some(64 + 4));
    assert_eq!(btf.enumerator("REQ_OP_WRITE_ZEROES"), Some(9));
}

#[test]
fn what_does_not_exist_is_none_and_so_is_a_bit_field() {
    let dir = written(&kernel_btf(), None);
    let btf = Btf::of_kernel(dir.path()).unwrap();
    assert_eq!(btf.offset("bio", "flag"), None);
    assert_eq!(btf.offset("bio", "bi_none"), None);
    assert_eq!(btf.offset("bio", "bi_bdev.x"), None);
    assert_eq!(btf.offset("no_such_struct", "x"), None);
    assert_eq!(btf.enumerator("REQ_OP_DANCE"), None);
}

#[test]
fn a_module_continues_the_kernels_types_and_strings() {
    let kernel = kernel_btf();
    let dir = written(&kernel, Some(&module_btf(&kernel)));
    let btf = Btf::of_kernel(dir.path()).unwrap();
    assert_eq!(btf.offset("nvmet_req", "ns"), None);
    let btf = btf.with_module(dir.path(), "nvmet").unwrap();
    assert_eq!(btf.offset("nvmet_req", "ns"), Some(32));
    assert_eq!(
        btf.offset("nvmet_req", "inline_bio.bi_iter.bi_size"),
        Some(64 + 40)
    );
    assert_eq!(btf.offset("bio", "bi_bdev"), Some(8));
}

#[test]
fn a_missing_fact_is_named() {
    let dir = written(&kernel_btf(), None);
    let btf = Btf::of_kernel(dir.path()).unwrap();
    let missing = lookup(&btf, kernel::TARGET).unwrap_err();
    assert_eq!(missing, "this kernel has no member ns of struct nvmet_req");
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let error = Btf::of_kernel(dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("vmlinux"), "{error}");
}

proptest! {
    #[test]
    fn damaged_btf_is_refused_or_read_but_never_panics(
        cut in 0..400usize, flips in proptest::collection::vec((0..400usize, any::<u8>()), 0..8),
    ) {
        let mut data = kernel_btf();
        for (at, value) in flips {
            let at = at % data.len();
            data[at] = value;
        }
        data.truncate(cut);
        let dir = written(&data, None);
        if let Ok(btf) = Btf::of_kernel(dir.path()) {
            let _ = btf.offset("bio", "bi_iter.bi_size");
        }
    }
}
