//! What lies in the layers of an artifact, seen in parts: the names of files and their formats, without pulling weights.
//!
//! Small layers are read whole and compared with their digest. Of large ones only the parts that tell a format are asked
//! for, which no digest binds: a registry that shows other parts than it later hands out is seen by nobody before the
//! node compares. What is packed is unpacked as it streams in, up to a bound, and what lies behind is named as unseen.

mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use flate2::write::MultiGzDecoder;
use walk::Walk;

use super::client::{Kind, Session};
use super::error::FetchError;
use super::files::title;
use super::lookup::{ACCEPT_ANY, ACCEPT_EITHER, MANIFEST, blob, read_manifest};
use super::oci::{DOCKER_LIST_TYPE, Descriptor, INDEX_TYPE, Index, object};
use crate::gather::models::Sentences;
use crate::models::format::part::{PIECE, Pieces};
use crate::models::format::{self, Examined, Loading};
use crate::models::tar::{self, Step};

/// A layer that is read whole.
const SMALL: Kind = Kind { what: "a layer", limit: 8 << 20, redirects: true, from: None };
const MAX_LAYERS: usize = 512;
const MAX_PLATFORMS: usize = 4;
const MAX_FILES: u64 = 100_000;
/// Pieces of one file that are looked at.
const MAX_PIECES: u64 = 64;
/// Pieces that are asked for in one request at most.
const AT_ONCE: u64 = 8;
/// Bytes of one packed layer that are read, and what they may become.
const MAX_PACKED: u64 = 256 << 20;
const MAX_UNPACKED: u64 = 4 << 30;
/// Bytes of all layers together.
const MAX_TOTAL: u64 = 2 << 30;
/// How much is unpacked in one go: it may become a thousand times as much.
const GULP: usize = 16 << 10;

/// What was seen of an artifact's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Which formats the files have, with a count.
    pub formats: BTreeMap<&'static str, u64>,
    /// Files that can run code when they are loaded.
    pub code: Sentences,
    /// Files of which that could not be seen.
    pub opaque: Sentences,
    /// What was not looked at, and why.
    pub unseen: Sentences,
    /// How many files were looked at.
    pub files: u64,
}

impl Contents {
    fn take(&mut self, path: &str, seen: &Examined) {
        self.files += 1;
        *self.formats.entry(seen.format.name()).or_default() += 1;
        match &seen.loading {
            Loading::Data => {}
            Loading::Code(why) => {
                self.code.add(format!("{} can run code when it is loaded: {why}", shown(path)));
            }
            Loading::Unknown(why) => self.opaque.add(format!("{}: {why}", shown(path))),
        }
    }

    fn missed(&mut self, what: &str, why: &str) {
        self.unseen.add(format!("{}: {why}", shown(what)));
    }
}

/// What lies behind a link out of what is looked at is not looked at.
fn follow(entry: &tar::Entry, within: Within<'_>, out: &mut Contents) {
    let Some(leads) = &entry.leads else { return };
    if within.leaves(&entry.path, leads) {
        let target: String = leads.path.chars().take(160).collect();
        out.missed(&entry.path, &format!("it is a link to {target:?}, outside of the model"));
    }
}

fn shown(path: &str) -> String {
    format!("{:?}", path.chars().take(160).collect::<String>())
}

/// How an artifact is used.
#[derive(Clone, Copy, Debug)]
pub enum Within<'a> {
    /// All of it is the model.
    All,
    /// It is an image, and the model is a folder or file in it; nothing where nobody says which.
    Image(Option<&'a str>),
}

impl Within<'_> {
    /// Whether a link at `path` shows what lies elsewhere as part of the model.
    fn leaves(self, path: &str, leads: &tar::Leads) -> bool {
        let above = |folder: &str| folder.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        match self {
            // A volume of its own, in which a way from the top is one of the container.
            Self::All => leads.out,
            Self::Image(None) => false,
            Self::Image(Some(folder)) => {
                (self.holds(path) || above(folder.trim_matches('/'))) && !self.holds(&leads.path)
            }
        }
    }

    fn holds(self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Image(None) => false,
            Self::Image(Some(folder)) => {
                let folder = folder.trim_matches('/');
                let rest = path.strip_prefix(folder);
                folder.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

/// Looks at the layers of the artifact with this digest.
pub(super) async fn read(
    session: &mut Session<'_>,
    digest: &str,
    within: Within<'_>,
) -> Result<Contents, FetchError> {
    let mut out = Contents::default();
    if let Within::Image(None) = within {
        out.missed("spec.source.path", "is not set, so nobody knows where in the image the model lies");
        return Ok(out);
    }
    let mut layers: Vec<Descriptor> = Vec::new();
    let mut open = vec![digest.to_owned()];
    let mut platforms = 0;
    while let Some(digest) = open.pop() {
        let Some(answer) = session.get(&format!("manifests/{digest}"), ACCEPT_EITHER, MANIFEST).await? else {
            return Err(session.malformed(MANIFEST.what, "it is not there"));
        };
        if answer.digest() != digest {
            return Err(session.malformed(MANIFEST.what, "its bytes are not those of its digest"));
        }
        if [INDEX_TYPE, DOCKER_LIST_TYPE].contains(&answer.content_type.as_str()) && platforms == 0 {
            let index: Index =
                object(&answer.body).ok_or_else(|| session.malformed(MANIFEST.what, "it cannot be read"))?;
            let children = index.manifests.unwrap_or_default();
            let is_platform = |child: &&Descriptor| !child.is_about_another();
            open.extend(children.iter().filter(is_platform).map(|child| child.digest.clone()));
            platforms += 1;
            if open.len() > MAX_PLATFORMS {
                out.missed(&digest, "it has more platforms than are looked at");
                open.truncate(MAX_PLATFORMS);
            }
            continue;
        }
        platforms += 1;
        layers.extend(read_manifest(session, &answer)?.layers);
    }
    let mut known = BTreeSet::new();
    layers.retain(|layer| known.insert(layer.digest.clone()));
    let mut total = 0;
    for (number, layer) in layers.iter().enumerate() {
        let name = title(layer).unwrap_or_else(|| format!("layer {number}"));
        if number >= MAX_LAYERS || total > MAX_TOTAL || out.files > MAX_FILES {
            out.missed(&name, "more was there than is looked at of one artifact");
            break;
        }
        let mut look = Look { session, layer, pieces: Pieces::default(), fetched: 0, whole: false };
        look.layer(&name, within, &mut out).await?;
        total += look.fetched;
    }
    if out.files == 0 && out.unseen.is_empty() {
        out.missed("artifact", "no file was found in it");
    }
    Ok(out)
}

/// One layer.
struct Look<'l, 's> {
    session: &'l mut Session<'s>,
    layer: &'l Descriptor,
    pieces: Pieces,
    fetched: u64,
    /// Whether all of it is at hand, as its digest says.
    whole: bool,
}

/// What came of looking at one file.
enum Found {
    Seen(Examined),
    Unseen(&'static str),
}

const NO_PARTS: &str = "the registry does not hand out parts of it";

impl Look<'_, '_> {
    async fn layer(&mut self, name: &str, within: Within<'_>, out: &mut Contents) -> Result<(), FetchError> {
        let size = self.layer.size;
        if size <= SMALL.limit as u64 {
            let bytes = blob(self.session, self.layer, SMALL).await?;
            if bytes.len() as u64 != size {
                return Err(self
                    .session
                    .malformed(SMALL.what, "it has another length than the manifest says"));
            }
            self.fetched = size;
            self.whole = true;
            self.pieces.put(0, &bytes);
        } else if !self.fetch(0, 1).await? {
            out.missed(name, NO_PARTS);
            return Ok(());
        }
        let head = {
            let mut head = vec![0; 512.min(usize::try_from(size).unwrap_or(512))];
            let read = std::io::Read::read(&mut self.pieces.view(0, size), &mut head).unwrap_or_default();
            head.truncate(read);
            head
        };
        if head.starts_with(b"\x1f\x8b") {
            return self.packed(name, within, out).await;
        }
        if head.starts_with(b"\x28\xb5\x2f\xfd") {
            out.missed(name, "it is packed with zstd, which is not unpacked here");
            return Ok(());
        }
        if tar::is_tar(&head) {
            return self.archive(name, within, out).await;
        }
        if within.holds(name) {
            match self.file(name, 0, size).await? {
                Found::Seen(seen) => out.take(name, &seen),
                Found::Unseen(why) => out.missed(name, why),
            }
        }
        Ok(())
    }

    /// Asks for some pieces. Whether they came: some registries hand out no parts.
    async fn fetch(&mut self, number: u64, count: u64) -> Result<bool, FetchError> {
        let from = number * PIECE;
        let len = (count * PIECE).min(self.layer.size.saturating_sub(from));
        if self.whole || len == 0 {
            return Ok(false);
        }
        let Some(hex) = self.layer.sha256() else {
            return Err(self.session.malformed(MANIFEST.what, "a digest is no sha256"));
        };
        let limit = usize::try_from(len).unwrap_or(usize::MAX);
        let kind = Kind { what: "a layer", limit, redirects: true, from: Some(from) };
        let path = format!("blobs/sha256:{hex}");
        let Some(answer) = self.session.get(&path, ACCEPT_ANY, kind).await? else {
            return Err(self.session.malformed(MANIFEST.what, "it names a blob that is not there"));
        };
        self.fetched += answer.body.len() as u64;
        if !answer.is_part && from > 0 {
            return Ok(false);
        }
        if answer.body.len() != limit {
            return Err(self.session.malformed(kind.what, "a part of it is shorter than was asked for"));
        }
        self.pieces.put(number, &answer.body);
        Ok(true)
    }

    /// Looks at the file of `size` bytes from `base` on, asking for the pieces that it turns out to need.
    async fn file(&mut self, name: &str, base: u64, size: u64) -> Result<Found, FetchError> {
        let (mut count, mut run) = (0, 1);
        loop {
            let missing = {
                let mut view = self.pieces.view(base, size);
                match format::examine(name, &mut view) {
                    Ok(seen) => return Ok(Found::Seen(seen)),
                    Err(_) => view.missing(),
                }
            };
            let Some(number) = missing else { return Ok(Found::Unseen("it ends before its end")) };
            // What reads on and on is handed more at once.
            run = if number > 0 && self.pieces.has(number - 1) { (run * 2).min(AT_ONCE) } else { 1 };
            count += run;
            if count > MAX_PIECES {
                return Ok(Found::Unseen("more of it would have to be read than is read of one file"));
            }
            if !self.fetch(number, run).await? {
                return Ok(Found::Unseen(NO_PARTS));
            }
            tokio::task::yield_now().await;
        }
    }

    /// An archive that is not packed: from header to header, whatever lies between.
    async fn archive(
        &mut self,
        name: &str,
        within: Within<'_>,
        out: &mut Contents,
    ) -> Result<(), FetchError> {
        let mut at = 0;
        loop {
            let (step, missing) = {
                let mut view = self.pieces.view(0, self.layer.size);
                (tar::entry(&mut view, at), view.missing())
            };
            match (step, missing) {
                (Ok(Step::End), _) | (Err(_), None) => return Ok(()),
                (Ok(Step::Broken(why)), _) => {
                    out.opaque.add(format!("{}: {why}", shown(name)));
                    return Ok(());
                }
                (Ok(Step::Entry(entry)), _) => {
                    follow(&entry, within, out);
                    if entry.kind == tar::Kind::File && within.holds(&entry.path) {
                        match self.file(&entry.path, entry.from, entry.size).await? {
                            Found::Seen(seen) => out.take(&entry.path, &seen),
                            Found::Unseen(why) => out.missed(&entry.path, why),
                        }
                    }
                    at = entry.next;
                    if !self.whole {
                        self.pieces.drop_pieces(0, at / PIECE);
                    }
                }
                (Err(_), Some(number)) => {
                    if !self.fetch(number, 1).await? {
                        out.missed(name, NO_PARTS);
                        return Ok(());
                    }
                }
            }
            if out.files > MAX_FILES || self.fetched > MAX_TOTAL {
                out.missed(name, "more was there than is looked at of one artifact");
                return Ok(());
            }
        }
    }

    /// What is packed with gzip, as it streams in.
    async fn packed(&mut self, name: &str, within: Within<'_>, out: &mut Contents) -> Result<(), FetchError> {
        let mut walk = Walk::new(name, within);
        let mut unpacker = MultiGzDecoder::new(Vec::new());
        let (mut number, mut read) = (0, 0);
        while read < self.layer.size {
            let more = read < MAX_PACKED && (self.pieces.has(number) || self.fetch(number, AT_ONCE).await?);
            if !more {
                walk.end(false, out);
                return Ok(());
            }
            let piece = {
                let len = PIECE.min(self.layer.size - read);
                let mut piece = vec![0; usize::try_from(len).unwrap_or_default()];
                std::io::Read::read_exact(&mut self.pieces.view(read, len), &mut piece)
                    .map_err(|_| self.session.malformed(SMALL.what, "a part of it is missing"))?;
                piece
            };
            for gulp in piece.chunks(GULP) {
                if unpacker.write_all(gulp).is_err() {
                    out.opaque.add(format!("{}: its packing is broken", shown(name)));
                    return Ok(());
                }
                walk.bytes(&std::mem::take(unpacker.get_mut()), out);
                if walk.is_done() {
                    return Ok(());
                }
                if walk.length >= MAX_UNPACKED || out.files > MAX_FILES {
                    walk.end(false, out);
                    return Ok(());
                }
                tokio::task::yield_now().await;
            }
            self.pieces.drop_pieces(number, number + 1);
            read += piece.len() as u64;
            number += 1;
        }
        match unpacker.finish() {
            Ok(rest) => walk.bytes(&rest, out),
            Err(_) => out.opaque.add(format!("{}: its packing is broken", shown(name))),
        }
        walk.end(true, out);
        Ok(())
    }
}
