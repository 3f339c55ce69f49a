//! From a configuration to text.

use core::fmt::{self, Display, Write};

use zeroize::Zeroizing;

use super::fields::Field;
use super::{Config, Interface, Peer, Table};

impl Config {
    /// The file, with its secrets, for a place that only its owner reads.
    pub fn to_text(&self) -> Zeroizing<String> {
        // Written twice: growing would leave parts of it, keys among them, behind in memory.
        let mut length = Length(0);
        let measured = self.write(&mut length);
        let mut text = Zeroizing::new(String::with_capacity(length.0));
        let written = self.write(&mut *text);
        measured
            .and(written)
            .expect("neither a count nor a String refuses text");
        text
    }

    fn write(&self, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "[Interface]")?;
        self.interface.write(out)?;
        self.peers.iter().try_for_each(|peer| {
            writeln!(out, "\n[Peer]")?;
            peer.write(out)
        })
    }
}

struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

impl Interface {
    fn write(&self, out: &mut impl Write) -> fmt::Result {
        if let Some(key) = &self.private_key {
            line(out, Field::PrivateKey, &*key.to_base64())?;
        }
        optional(out, Field::ListenPort, self.listen_port)?;
        optional(out, Field::FwMark, self.fwmark)?;
        list(out, Field::Address, &self.addresses)?;
        list(out, Field::Dns, &self.dns)?;
        list(out, Field::Dns, &self.search_domains)?;
        optional(out, Field::Mtu, self.mtu)?;
        match &self.table {
            Table::Auto => {}
            Table::Off => line(out, Field::Table, "off")?,
            Table::Named(name) => line(out, Field::Table, name)?,
        }
        for (field, commands) in [
            (Field::PreUp, &self.hooks.pre_up),
            (Field::PostUp, &self.hooks.post_up),
            (Field::PreDown, &self.hooks.pre_down),
            (Field::PostDown, &self.hooks.post_down),
        ] {
            for command in commands {
                line(out, field, command)?;
            }
        }
        optional(out, Field::SaveConfig, self.saves_config.then_some(true))
    }
}

impl Peer {
    fn write(&self, out: &mut impl Write) -> fmt::Result {
        line(out, Field::PublicKey, self.public_key)?;
        if let Some(key) = &self.preshared_key {
            line(out, Field::PresharedKey, &*key.to_base64())?;
        }
        list(out, Field::AllowedIps, &self.allowed_ips)?;
        optional(out, Field::Endpoint, self.endpoint.as_ref())?;
        optional(out, Field::PersistentKeepalive, self.persistent_keepalive)
    }
}

fn line(out: &mut impl Write, field: Field, value: impl Display) -> fmt::Result {
    writeln!(out, "{field} = {value}")
}

fn optional(out: &mut impl Write, field: Field, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| line(out, field, value))
}

fn list(out: &mut impl Write, field: Field, values: &[impl Display]) -> fmt::Result {
    let Some((first, others)) = values.split_first() else {
        return Ok(());
    };
    write!(out, "{field} = {first}")?;
    others
        .iter()
        .try_for_each(|value| write!(out, ", {value}"))?;
    writeln!(out)
}
