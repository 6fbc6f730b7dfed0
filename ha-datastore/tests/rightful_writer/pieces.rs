//! Files put together from pieces of other files, in the order in which storage might do it.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::archive::{Archive, File};
use crate::format_model::BLOCK;

const SECTOR: usize = 512;

/// Where a piece is from.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Another write of the same file.
    SameFile(Index),
    /// A file of the same kind: of another host, machine or cluster.
    SameKind(Index, Index),
    /// Any file.
    Any(Index, Index),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A write that went astray: a whole block, or those sectors of it whose bits are set.
    Put {
        block: Index,
        piece: Piece,
        sectors: u8,
    },
    /// A block over another one.
    Double {
        from: Index,
        to: Index,
    },
    Exchange(Index, Index),
    ZeroSector(Index),
    Flip(Index),
    Longer,
    Shorter,
}

/// A file after so many writes and then the steps.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) writes: Index,
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn recipe() -> impl Strategy<Value = Recipe> {
    (any::<Index>(), prop::collection::vec(step(), 0..4)).prop_map(|(writes, steps)| Recipe { writes, steps })
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let piece = prop_oneof![
        3 => index().prop_map(Piece::SameFile),
        3 => (index(), index()).prop_map(|(file, write)| Piece::SameKind(file, write)),
        2 => (index(), index()).prop_map(|(file, write)| Piece::Any(file, write)),
    ];
    let sectors = prop_oneof![2 => Just(u8::MAX), 1 => any::<u8>()];
    prop_oneof![
        12 => (index(), piece, sectors).prop_map(|(block, piece, sectors)| Step::Put { block, piece, sectors }),
        2 => (index(), index()).prop_map(|(from, to)| Step::Double { from, to }),
        2 => (index(), index()).prop_map(|(one, other)| Step::Exchange(one, other)),
        1 => index().prop_map(Step::ZeroSector),
        3 => index().prop_map(Step::Flip),
        1 => Just(Step::Longer),
        1 => Just(Step::Shorter),
    ]
}

impl Recipe {
    pub(crate) fn image(&self, archive: &Archive, file: &File) -> Vec<u8> {
        let mut image = archive.image(file, self.writes.index(archive.files[file].len() + 1));
        for step in &self.steps {
            step.carry_out(&mut image, &|piece| piece.bytes(archive, file));
        }
        image
    }
}

impl Step {
    /// `bytes` gives those of a piece, a block at least.
    pub(crate) fn carry_out(&self, image: &mut Vec<u8>, bytes: &impl Fn(&Piece) -> Vec<u8>) {
        if image.is_empty() {
            return;
        }
        let blocks = image.len() / BLOCK;
        let at = |index: &Index| index.index(blocks) * BLOCK;
        match self {
            Self::Longer => image.resize(image.len() + BLOCK, 0),
            Self::Shorter => image.truncate(image.len().saturating_sub(BLOCK)),
            Self::Put { block, piece, sectors } => {
                let (at, piece) = (at(block), bytes(piece));
                for sector in (0..8).filter(|sector| sectors & 1 << sector != 0).map(|sector| sector * SECTOR)
                {
                    image[at + sector..at + sector + SECTOR].copy_from_slice(&piece[sector..sector + SECTOR]);
                }
            }
            Self::Double { from, to } => image.copy_within(at(from)..at(from) + BLOCK, at(to)),
            Self::Exchange(one, other) => {
                for byte in 0..BLOCK {
                    image.swap(at(one) + byte, at(other) + byte);
                }
            }
            Self::ZeroSector(sector) => {
                let at = sector.index(image.len() / SECTOR) * SECTOR;
                image[at..at + SECTOR].fill(0);
            }
            Self::Flip(bit) => flip(image, *bit),
        }
    }
}

/// A bit of a block's first quarter, where the records are.
fn flip(image: &mut [u8], bit: Index) {
    let bit = bit.index(image.len() / BLOCK * BLOCK / 4 * 8);
    let (block, within) = (bit / (BLOCK / 4 * 8), bit % (BLOCK / 4 * 8));
    image[block * BLOCK + within / 8] ^= 1 << (within % 8);
}

impl Piece {
    fn bytes(&self, archive: &Archive, target: &File) -> Vec<u8> {
        let same_kind = || archive.files.iter().filter(|(file, _)| file.kind == target.kind);
        let (written, write) = match self {
            Self::SameFile(write) => (&archive.files[target], write),
            Self::SameKind(file, write) => (file.get(&same_kind().collect::<Vec<_>>()).1, write),
            Self::Any(file, write) => (file.get(&archive.files.iter().collect::<Vec<_>>()).1, write),
        };
        write.get(written).bytes.clone()
    }
}
