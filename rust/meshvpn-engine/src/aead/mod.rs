//! The fast implementations behind `meshvpn_proto`'s AEAD seam, and the choice between them.
//!
//! Three backends speak [`Aead`]: `aws_lc` is compiled in and runs everywhere; `ipsec_mb` is Intel's
//! library, loaded at run time where it is installed; `portable` is RustCrypto from the pure crate,
//! for tests and comparison.
//!
//! [`choose`] takes the named one, and without a name the one that is fastest here. It does not
//! time anything at start, because on a busy machine that would choose by chance. It asks the
//! processor instead: with AVX-512 and its integer multiply-add (IFMA, which Poly1305 is built on)
//! ipsec-mb is 1.3 to 1.7 times as fast as aws-lc on full packets (Zen 4, Sapphire Rapids) and 1.05
//! to 1.1 times on small ones. With AVX2 alone it is slower: on Zen 4, so restricted, 1420 bytes
//! take it 1.3 times as long. AVX-512 without IFMA is Skylake's generation, which lowers its clock
//! for everything that runs beside such code; there, too, aws-lc stays the default.

mod aws_lc;
mod ipsec_mb;
mod measure;
#[cfg(test)]
mod vectors;

use std::fmt;
use std::str::FromStr;

use meshvpn_proto::session::aead::{Aead, Portable};

pub use self::ipsec_mb::Unavailable;
pub use self::measure::{Direction, Load, measure};

/// One implementation of ChaCha20-Poly1305.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// AWS-LC's assembly, compiled in.
    AwsLc,
    /// Intel's Multi-Buffer Crypto for IPsec library, loaded at run time.
    IpsecMb,
    /// RustCrypto: slow, and independent of the other two.
    Portable,
}

impl Backend {
    /// Every backend, in the order in which lists show them.
    pub const ALL: [Self; 3] = [Self::AwsLc, Self::IpsecMb, Self::Portable];

    /// The name that people type and that statistics show.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsLc => "aws-lc",
            Self::IpsecMb => "ipsec-mb",
            Self::Portable => "portable",
        }
    }

    /// A fresh implementation, for one thread.
    ///
    /// # Errors
    /// [`Unavailable`] for [`Backend::IpsecMb`] where the library cannot be used.
    pub fn start(self) -> Result<Box<dyn Aead>, Unavailable> {
        Ok(match self {
            Self::AwsLc => Box::new(aws_lc::AwsLc),
            Self::IpsecMb => Box::new(ipsec_mb::IpsecMb::new()?),
            Self::Portable => Box::new(Portable),
        })
    }

    /// How this machine stands to the backend.
    pub fn standing(self) -> Standing {
        match self {
            Self::AwsLc | Self::Portable => Standing::Usable,
            Self::IpsecMb => match ipsec_mb::IpsecMb::new() {
                Err(reason) => Standing::Unavailable(reason),
                Ok(_) if has_avx512_ifma() => Standing::Usable,
                Ok(_) => Standing::NoGain,
            },
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| UnknownBackend(name.to_owned()))
    }
}

/// A name that is no backend's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown AEAD backend {0:?}; the choices are aws-lc, ipsec-mb and portable")]
pub struct UnknownBackend(String);

/// How this machine stands to a backend; `Display` gives the sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It runs.
    Usable,
    /// It runs, but this processor has none of the instructions that make it the faster one.
    NoGain,
    /// It does not run here.
    Unavailable(Unavailable),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable => f.write_str("available"),
            Self::NoGain => f.write_str(
                "available, but this processor lacks AVX-512 with IFMA, without which aws-lc is \
                 faster",
            ),
            Self::Unavailable(reason) => write!(f, "not available: {reason}"),
        }
    }
}

/// Every backend and how this machine stands to it.
pub fn available() -> Vec<(Backend, Standing)> {
    Backend::ALL
        .map(|backend| (backend, backend.standing()))
        .into()
}

/// The backend that a tunnel uses; `Display` gives the line for its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What to [`Backend::start`] in each thread.
    pub backend: Backend,
    /// Why it is not [`Backend::IpsecMb`], where nobody named a backend.
    pub passed_over: Option<Standing>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.backend.fmt(f)?;
        match &self.passed_over {
            Some(standing) => write!(f, " (ipsec-mb is {standing})"),
            None => Ok(()),
        }
    }
}

/// Takes the requested backend, or else the fastest that this machine has.
///
/// # Errors
/// [`Unavailable`] when the requested backend does not run here. Without a request it always
/// succeeds.
pub fn choose(requested: Option<Backend>) -> Result<Choice, Unavailable> {
    let chosen = |backend, passed_over| {
        Ok(Choice {
            backend,
            passed_over,
        })
    };
    match requested {
        Some(backend) => match backend.standing() {
            Standing::Unavailable(reason) => Err(reason),
            Standing::Usable | Standing::NoGain => chosen(backend, None),
        },
        None => match Backend::IpsecMb.standing() {
            Standing::Usable => chosen(Backend::IpsecMb, None),
            standing => chosen(Backend::AwsLc, Some(standing)),
        },
    }
}

/// The instructions that ipsec-mb's fast ChaCha20 (F, BW, VL, DQ) and Poly1305 (IFMA) need.
#[cfg(target_arch = "x86_64")]
fn has_avx512_ifma() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512ifma")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512_ifma() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_as_its_backend() {
        for backend in Backend::ALL {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_every_choice() {
        let message = "openssl".parse::<Backend>().unwrap_err().to_string();
        assert!(message.contains("\"openssl\""), "{message}");
        for backend in Backend::ALL {
            assert!(message.contains(backend.name()), "{message}");
        }
    }

    #[test]
    fn a_named_backend_is_taken_or_refused_but_never_replaced() {
        for (backend, standing) in available() {
            match (choose(Some(backend)), standing) {
                (Ok(choice), Standing::Usable | Standing::NoGain) => {
                    assert_eq!(
                        choice,
                        Choice {
                            backend,
                            passed_over: None
                        }
                    );
                    assert_eq!(backend.start().unwrap().name(), backend.name());
                }
                (Err(reason), Standing::Unavailable(expected)) => assert_eq!(reason, expected),
                (choice, standing) => panic!("{backend}: {choice:?} although {standing:?}"),
            }
        }
    }

    #[test]
    fn without_a_name_the_choice_starts_and_says_why_it_is_not_ipsec_mb() {
        let choice = choose(None).unwrap();
        assert!(choice.backend.start().is_ok());
        assert_eq!(
            choice.backend == Backend::IpsecMb,
            choice.passed_over.is_none()
        );
        assert_ne!(choice.backend, Backend::Portable);
    }
}
