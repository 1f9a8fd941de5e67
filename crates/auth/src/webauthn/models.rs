//! Names of authenticators, by the ids with which they say what model they are.
//!
//! Passkey providers that many people have. Who is not among them has a key called "Passkey", to be renamed.
//!
//! Source: the providers' own documentation; the community's list of AAGUIDs.

use uuid::Uuid;

/// What a key is called whose authenticator does not say what it is.
const UNKNOWN: &str = "Passkey";

const KNOWN: &[(u128, &str)] = &[
    (0xfbfc3007_154e_4ecc_8c0b_6e020557d7bd, "Apple Passwords"),
    (0xdd4ec289_e01d_41c9_bb89_70fa845d4bf2, "iCloud Keychain (Managed)"),
    (0xea9b8d66_4d01_1d21_3ce4_b6b48cb575d4, "Google Password Manager"),
    (0xadce0002_35bc_c60a_648b_0b25f1f05503, "Chrome on Mac"),
    (0x08987058_cadc_4b81_b6e1_30de50dcbe96, "Windows Hello"),
    (0x9ddd1817_af5a_4672_a2b9_3e3dd95000a9, "Windows Hello"),
    (0x6028b017_b1d4_4c02_b4b3_afcdafc96bb2, "Windows Hello"),
    (0x53414d53_554e_4700_0000_000000000000, "Samsung Pass"),
    (0xbada5566_a7aa_401f_bd96_45619a55120d, "1Password"),
    (0xd548826e_79b4_db40_a3d8_11116f7e8349, "Bitwarden"),
    (0x531126d6_e717_415c_9320_3d9aa6981239, "Dashlane"),
    (0xb84e4048_15dc_4dd0_8640_f4f60813c8af, "NordPass"),
    (0x0ea242b4_43c4_4a1b_8b17_dd6d0b6baec6, "Keeper"),
    (0xf3809540_7f14_49c1_a8b3_8f813b225541, "Enpass"),
    (0x50726f74_6f6e_5061_7373_50726f746f6e, "Proton Pass"),
    (0xfdb141b2_5d84_443e_8a35_4698c205a502, "KeePassXC"),
    (0xb78a0a55_6ef8_d246_a042_ba0f6d55050c, "LastPass"),
];

/// What a key of this model is called at first.
pub fn name_of(aaguid: Option<Uuid>) -> &'static str {
    let wanted = aaguid.map(|id| id.as_u128());
    let known = KNOWN.iter().find(|(id, _)| Some(*id) == wanted);
    known.map_or(UNKNOWN, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_name_and_the_rest_are_passkeys() {
        let id: Uuid = "bada5566-a7aa-401f-bd96-45619a55120d".parse().unwrap();
        assert_eq!(name_of(Some(id)), "1Password");
        assert_eq!((name_of(None), name_of(Some(Uuid::nil()))), (UNKNOWN, UNKNOWN));
        for (at, (id, _)) in KNOWN.iter().enumerate() {
            assert!(!KNOWN[..at].iter().any(|(earlier, _)| earlier == id), "{id:x}");
        }
    }
}
