//! What this kernel's offloads can be trusted with.

use std::ffi::CStr;

/// Whether UDP segmentation (`UDP_SEGMENT`) may be used.
///
/// Linux 7.0 to 7.1.4 corrupt runs whose last datagram is as long as the others; there every
/// datagram goes out on its own.
pub fn can_segment() -> bool {
    !kernel_release().is_some_and(|release| corrupts_equal_tails(&release))
}

fn corrupts_equal_tails(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let version = [(); 3].map(|()| numbers.next().unwrap_or(0));
    ([7, 0, 0]..[7, 1, 5]).contains(&version)
}

fn kernel_release() -> Option<String> {
    // SAFETY: all zeros is a valid `utsname`.
    let mut names: libc::utsname = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel fills in `names`, which lives through the call.
    if unsafe { libc::uname(&raw mut names) } < 0 {
        return None;
    }
    // SAFETY: the kernel ends every field with a zero.
    let release = unsafe { CStr::from_ptr(names.release.as_ptr()) };
    Some(release.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broken_kernels_are_known() {
        for (release, is_broken) in [
            ("6.12.9-amd64", false),
            ("7.0.0", true),
            ("7.0", true),
            ("7.1.4-rt", true),
            ("7.1.5", false),
            ("7.2.0-rc1", false),
            ("", false),
        ] {
            assert_eq!(corrupts_equal_tails(release), is_broken, "{release}");
        }
    }
}
