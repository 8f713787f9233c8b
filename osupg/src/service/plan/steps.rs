//! The tasks of Microsoft's guidance for media, and what is ours.
//!
//! | | WinRE | boot.wim | install.wim | media |
//! |---|---|---|---|---|
//! | servicing stack | 1 | 9 | 18 | |
//! | languages | 2 | 10 | 19 | |
//! | localised packages, fonts, text to speech | 3–5 | 11–13 | | |
//! | `lang.ini` | | 14 | | |
//! | features on demand | | | 20 | |
//! | Safe OS update | 6 | | | |
//! | cumulative update | | 15 | 21 | |
//! | clean-up | 7 | 16 | 22 | |
//! | optional components; .NET | | | 23; 24 | |
//! | export | 8 | 17 | 25 | |
//! | Setup update | | | | 26 |
//!
//! (Microsoft, "Update Windows installation media with Dynamic Update".)

use super::super::applicable::Role;
use super::super::install::Form;
use super::super::recipe::{Recipe, Superseded, Target};
use super::super::survey::{Survey, Surveyed};
use super::super::update::{Kind, Update};
use super::{By, Step};
use crate::text;

/// What an update is among Microsoft's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    ServicingStack,
    Language,
    /// An optional component of Windows PE in a language.
    Localised,
    /// Fonts for Windows PE.
    Fonts,
    /// Text to speech for Windows PE.
    Speech,
    /// The list of languages: not an update.
    LangIni,
    Feature,
    SafeOs,
    Cumulative,
    Other,
    Driver,
    /// A component that leaves actions pending, such as .NET 3.5.
    OptionalComponent,
    Dotnet,
    Setup,
}

impl What {
    fn of(update: &Update) -> Self {
        let facts = &update.facts;
        let name = facts.identity.as_ref().map(|identity| identity.name.to_ascii_lowercase());
        let name = name.unwrap_or_default();
        match facts.kind {
            _ if update.is_for_pe() && name.contains("fontsupport") => Self::Fonts,
            _ if update.is_for_pe() && name.contains("speech-tts") => Self::Speech,
            _ if update.is_for_pe() => Self::Localised,
            Kind::ServicingStack => Self::ServicingStack,
            Kind::Language => Self::Language,
            Kind::Feature => Self::Feature,
            Kind::SafeOs => Self::SafeOs,
            Kind::Cumulative => Self::Cumulative,
            Kind::Other => Self::Other,
            Kind::Driver => Self::Driver,
            Kind::Dotnet if name.contains("ondemand") => Self::OptionalComponent,
            Kind::Dotnet => Self::Dotnet,
            Kind::Setup => Self::Setup,
        }
    }
}

/// Title, what it puts in, and its numbers for WinRE, boot.wim and install.wim; 0 where Microsoft gives
/// none.
type Task = (&'static str, What, [Option<u8>; 3]);

const BEFORE_CLEAN_UP: [Task; 11] = [
    ("servicing stack", What::ServicingStack, [Some(1), Some(9), Some(18)]),
    ("language packs", What::Language, [Some(2), Some(10), Some(19)]),
    ("localised packages", What::Localised, [Some(3), Some(11), None]),
    ("font support", What::Fonts, [Some(4), Some(12), None]),
    ("text to speech", What::Speech, [Some(5), Some(13), None]),
    ("lang.ini", What::LangIni, [None, Some(14), None]),
    ("features on demand", What::Feature, [None, None, Some(20)]),
    ("Safe OS update", What::SafeOs, [Some(6), None, None]),
    ("cumulative update", What::Cumulative, [None, Some(15), Some(21)]),
    ("other packages", What::Other, [Some(0), Some(0), Some(0)]),
    ("drivers", What::Driver, [Some(0), Some(0), Some(0)]),
];

/// Of install.wim alone: they leave actions pending, with which a clean-up fails.
const AFTER_CLEAN_UP: [(u8, &str, What); 2] =
    [(23, "optional components", What::OptionalComponent), (24, ".NET", What::Dotnet)];

/// What the steps leave to whoever asks for them.
pub(super) fn notes(steps: &[Step]) -> Option<String> {
    let languages = |step: &Step| step.task == Some(10) && step.by == By::Dism;
    steps.iter().any(languages).then(|| {
        "lang.ini stays as it is: for Setup in a new language, add one with \
         --add boot.wim:2/sources/lang.ini=FILE and --add media/sources/lang.ini=FILE"
            .to_string()
    })
}

/// Lists the steps of a run.
pub(super) fn list(
    survey: &Survey,
    recipe: &Recipe,
    surveyed: &[Surveyed<'_>],
    steps: &mut Vec<Step>,
) {
    for (place, role, target) in [
        (0, Role::Winre, "winre.wim"),
        (1, Role::Boot, "boot.wim"),
        (2, Role::Install, "install.wim"),
    ] {
        let of_role: Vec<_> = surveyed.iter().filter(|image| image.role == role).collect();
        let called = |what: What| -> Vec<String> {
            let mut updates: Vec<&Update> = of_role
                .iter()
                .flat_map(|image| &image.ordered.updates)
                .filter(|update| What::of(update) == what)
                .collect();
            updates.sort_by_key(|update| (update.facts.version, update.id.clone()));
            updates.dedup_by(|a, b| a.id == b.id);
            updates.into_iter().map(Update::called).collect()
        };
        let mut add = |task: Option<u8>, title: &str, by: By, updates: Vec<String>| {
            steps.push(Step {
                task: task.filter(|task| *task > 0),
                target: target.into(),
                title: title.into(),
                by,
                updates,
            });
        };
        let replaced = match role {
            Role::Winre => recipe.winre.is_some(),
            Role::Boot => recipe.boot.is_some(),
            Role::Install => false,
        };
        if replaced {
            add(None, "put another one in its place", By::Native, Vec::new());
        }
        if role == Role::Install
            && let Some(first) = survey.install()
            && survey.form != Form::Plain
        {
            let name = first.path.name();
            let title = match survey.form {
                Form::Solid => format!("make one WIM of {name}, compressed as DISM takes it"),
                _ => format!("join the parts of {name}"),
            };
            add(None, &title, By::Native, Vec::new());
        }
        if role == Role::Install && !recipe.keep.is_empty() {
            let kept = format!("keep image {}", numbers(&survey.kept));
            add(None, &kept, By::Native, Vec::new());
        }
        let mut dism = false;
        for (title, what, tasks) in BEFORE_CLEAN_UP {
            let Some(task) = tasks[place] else { continue };
            let updates = called(what);
            // The stack comes within the cumulative update mostly.
            if updates.is_empty() && task == 0 {
                continue;
            }
            let by = if updates.is_empty() { By::Nobody } else { By::Dism };
            dism |= by == By::Dism;
            add(Some(task), title, by, updates);
        }
        let clean = if recipe.superseded == Superseded::Remove && role == Role::Install && dism {
            By::Dism
        } else {
            By::Nobody
        };
        add(
            [Some(7), Some(16), Some(22)][place],
            "clean-up of superseded updates",
            clean,
            Vec::new(),
        );
        if role == Role::Install {
            for (task, title, what) in AFTER_CLEAN_UP {
                let updates = called(what);
                let by = if updates.is_empty() { By::Nobody } else { By::Dism };
                dism |= by == By::Dism;
                add(Some(task), title, by, updates);
            }
        }
        let edits = recipe.add.iter().map(|add| add.to).chain(recipe.remove.iter().map(|r| r.from));
        let edits = edits
            .filter(|target| {
                matches!(
                    (role, target),
                    (Role::Winre, Target::Winre)
                        | (Role::Boot, Target::Boot(_))
                        | (Role::Install, Target::Install(_))
                )
            })
            .count();
        let script = role == Role::Install && recipe.setup_complete.is_some();
        let changes = edits + usize::from(script);
        if changes > 0 {
            let title = format!("{changes} file change{}", text::plural(changes as u64));
            add(None, &title, By::Native, Vec::new());
        }
        let anything = dism || replaced || changes > 0;
        let export = if anything || (role == Role::Install && !recipe.keep.is_empty()) {
            By::Native
        } else {
            By::Nobody
        };
        add([Some(8), Some(17), Some(25)][place], "write the WIM anew", export, Vec::new());
        if role == Role::Install
            && export == By::Native
            && let Some(first) = survey.install()
            && survey.form != Form::Plain
        {
            let title = match survey.form {
                Form::Solid => format!("write {} anew, in solid resources", first.path.name()),
                _ => format!("split it into the parts of {}", first.path.name()),
            };
            add(None, &title, By::Native, Vec::new());
        }
        if role == Role::Winre && anything {
            add(None, "put it back into the images of install.wim", By::Native, Vec::new());
        }
    }
    media(survey, recipe, steps);
}

fn media(survey: &Survey, recipe: &Recipe, steps: &mut Vec<Step>) {
    let boot_is_serviced =
        steps.iter().any(|step| step.target == "boot.wim" && step.by == By::Dism);
    let mut add = |task: Option<u8>, title: &str, by: By, updates: Vec<String>| {
        steps.push(Step { task, target: "media".into(), title: title.into(), by, updates });
    };
    let setup: Vec<_> = survey.setup_updates().into_iter().map(Update::called).collect();
    let by = if setup.is_empty() { By::Nobody } else { By::Native };
    add(Some(26), "Setup update over sources", by, setup);
    if boot_is_serviced {
        add(None, "Setup and boot managers as in boot.wim", By::Native, Vec::new());
    }
    if !survey.placed.is_empty() {
        let placed = survey.placed.iter().map(Update::called).collect();
        let title = "place on the media, for Setup to install; not put into images";
        add(None, title, By::Native, placed);
    }
    if !survey.unattended.is_empty() {
        let title = "name in the answer file, for clean installations; not put into images";
        let named = survey.unattended.iter().map(Update::called).collect();
        add(None, title, By::Native, named);
    }
    let edits = recipe.add.iter().filter(|add| add.to == Target::Media).count()
        + recipe.remove.iter().filter(|removal| removal.from == Target::Media).count()
        + usize::from(recipe.answer_file.is_some());
    if edits > 0 {
        let title = format!("{edits} file change{}", text::plural(edits as u64));
        add(None, &title, By::Native, Vec::new());
    }
    add(None, "check everything and commit the next revision", By::Native, Vec::new());
}

fn numbers(numbers: &[u32]) -> String {
    let all: Vec<_> = numbers.iter().map(u32::to_string).collect();
    all.join(", ")
}
