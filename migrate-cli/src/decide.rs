//! Colour: which sites are rewritten and which functions gain a `Cx`, to a fixpoint.
//!
//! * A class of values moves whole or not at all: one site of its family that stays on tokio keeps the others there.
//! * A site that needs a `Cx` is rewritten only where one can be had: from the function it is in, from the task it is spawned in,
//!   or from the entry point. A function gains a `Cx` only if every call of it can pass one.
//! * Every step holds something back and nothing is ever let go again, so the computation ends.

use crate::flow::stripped;
use crate::model::{
    Entry, FnId, FrameId, FrameKind, Model, PlaceId, Shape, Site, SiteId, given_to,
};
use crate::rules::{self, Family, Form, Op, Safety};
use asupersync_source::load::FileId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use syn::Expr;

/// Why a site stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// No rule names it.
    NoRule,
    /// Its rule was left out, or it stands outside the chosen module.
    NotSelected,
    /// It needs review and `--review` was not given.
    Review,
    /// A comment asks to leave it.
    Skipped,
    /// It stands in the definition of a macro.
    Definition,
    /// The rewrite does not know this form.
    Form(String),
    /// The compiler refused the rewrite.
    Withdrawn(String),
    /// Something its values flow into stays on tokio.
    Family(String),
    /// No `Cx` can reach it.
    NoContext(String),
}

impl Held {
    /// The reason in words.
    pub(crate) fn reason(&self) -> String {
        match self {
            Held::NoRule => "no rule".to_owned(),
            Held::NotSelected => "not selected".to_owned(),
            Held::Review => "needs review: run with `--review`".to_owned(),
            Held::Skipped => "left alone by a comment".to_owned(),
            Held::Definition => "stands in the definition of a macro".to_owned(),
            Held::Form(why) => why.clone(),
            Held::Withdrawn(message) => format!("the compiler refused it: {message}"),
            Held::Family(why) => format!("its values stay on tokio: {why}"),
            Held::NoContext(why) => format!("no Cx can reach it: {why}"),
        }
    }
}

/// What the caller lets the rewrite do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constraints {
    /// Sites held back for reasons of their own, with the reason.
    pub(crate) held: BTreeMap<SiteId, Held>,
    /// Functions whose signature may not change, with the reason.
    pub(crate) fixed: BTreeMap<FnId, String>,
    /// Review edits are applied.
    pub(crate) review: bool,
    /// Codes of rules that are left out.
    pub(crate) off: BTreeSet<String>,
    /// Calls that were taken for calls of a function and are not, by where they start.
    pub(crate) mistaken: BTreeSet<(FileId, usize, FnId)>,
    /// Something was left out by choice, so that what depends on it is no finding.
    pub(crate) partial: bool,
    /// Nothing at all is rewritten.
    pub(crate) nothing: bool,
}

/// What is rewritten.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) held: BTreeMap<SiteId, Held>,
    /// Functions that gain a `Cx`, entry points that use one included.
    pub(crate) coloured: BTreeSet<FnId>,
    /// Classes that stay, by family.
    poisoned: HashMap<(PlaceId, Family), String>,
    /// Families of which at least one site stays.
    partly: BTreeSet<Family>,
    /// Classes of which at least one site moves, by family.
    moving: BTreeSet<(PlaceId, Family)>,
}

/// Where a `Cx` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Function(FnId),
    Body(SiteId),
    /// An async closure that the source already hands one.
    Closure,
}

impl Decision {
    pub(crate) fn rewrites(&self, site: SiteId) -> bool {
        !self.held.contains_key(&site)
    }

    /// Whether values of a class and family move: something of it does, and nothing of it stays.
    pub(crate) fn moves(&self, model: &Model<'_>, place: Option<PlaceId>, family: Family) -> bool {
        match place {
            Some(place) => {
                let class = (model.places.class(place), family);
                !self.poisoned.contains_key(&class) && self.moving.contains(&class)
            }
            None => {
                !self.partly.contains(&family)
                    && self.moving.iter().any(|(_, moved)| *moved == family)
            }
        }
    }

    /// Where the `Cx` at a frame comes from.
    pub(crate) fn source(
        &self,
        model: &Model<'_>,
        constraints: &Constraints,
        frame: FrameId,
    ) -> Result<Source, String> {
        let mut in_macro = false;
        for at in model.outwards(frame) {
            match model.frame(at).kind {
                FrameKind::MacroBlock => in_macro = true,
                // A function that is not async can keep a clone of its `Cx` in what it returns.
                FrameKind::Function(id)
                    if in_macro && model.function(id).sig.asyncness.is_some() =>
                {
                    return Err(
                        "what the macro around it makes may be kept longer than the call"
                            .to_owned(),
                    );
                }
                FrameKind::Sealed => return Err("it stands outside any function".to_owned()),
                FrameKind::Body(site) => {
                    if !self.rewrites(site) {
                        // The future given to `timeout` is polled in place, so it sees the caller's.
                        if model.site(site).form() == Some(Form::Timeout) {
                            continue;
                        }
                        return Err("it runs in a task that stays on tokio".to_owned());
                    }
                    if gives_cx(model, site) {
                        return Ok(Source::Body(site));
                    }
                }
                FrameKind::Closure(closure) if given_to(closure).is_some() => {
                    return Ok(Source::Closure);
                }
                FrameKind::Function(id) => {
                    return self
                        .can_colour(model, constraints, id)
                        .map(|()| Source::Function(id));
                }
                _ => {}
            }
        }
        Err("it stands outside any function".to_owned())
    }

    fn can_colour(
        &self,
        model: &Model<'_>,
        constraints: &Constraints,
        id: FnId,
    ) -> Result<(), String> {
        let function = model.function(id);
        if function.given.is_some() {
            return Ok(());
        }
        let name = &function.sig.ident;
        if let Some(reason) = constraints.fixed.get(&id) {
            return Err(format!("`{name}` cannot take one: {reason}"));
        }
        if let Some(reason) = &function.fixed {
            return Err(format!("`{name}` cannot take one: {reason}"));
        }
        match function.entry {
            Entry::Called => Ok(()),
            Entry::Tokio(site) if self.rewrites(site) => Ok(()),
            Entry::Tokio(_) => Err(format!("`{name}` keeps its tokio runtime")),
            Entry::Foreign => Err(format!("`{name}` is entered without one")),
        }
    }
}

/// Whether a form hands its argument a `Cx`.
fn gives_cx(model: &Model<'_>, site: SiteId) -> bool {
    match model.site(site).form() {
        Some(Form::Timeout) => timeout_drains(model, site),
        Some(Form::Spawn | Form::SpawnBlocking | Form::BlockOn) => true,
        _ => false,
    }
}

/// Whether a timeout lets its work drain: where the work is one operation that answers cancellation and would lose something if it
/// were dropped. All else is dropped at expiry, as before.
pub(crate) fn timeout_drains(model: &Model<'_>, site: SiteId) -> bool {
    let Shape::Call(call) = model.site(site).shape else {
        return false;
    };
    let Some(work) = call.args.iter().nth(1) else {
        return false;
    };
    if let Some(argument) = passed_cx(work) {
        return !argument.drop_safe;
    }
    operation(model, work).is_some_and(|inner| {
        let item = &model.site(inner).item;
        matches!(model.site(inner).op(), Some(Op::Method { cx: true, .. })) && !is_drop_safe(item)
    })
}

/// A `Cx` that an operation of the runtime's is passed already.
pub(crate) struct PassedCx<'p> {
    pub(crate) argument: &'p Expr,
    pub(crate) drop_safe: bool,
}

/// The `Cx` that a method call is passed as its first argument, where it is an operation of the runtime's.
pub(crate) fn passed_cx(expr: &Expr) -> Option<PassedCx<'_>> {
    let Expr::MethodCall(call) = stripped(expr) else {
        return None;
    };
    let argument = call.args.first()?;
    let Expr::Path(path) = stripped(argument) else {
        return None;
    };
    let name = path.path.get_ident()?;
    if name != "cx" && name != "acx" {
        return None;
    }
    let method = call.method.to_string();
    let drop_safe = rules::DROP_SAFE
        .iter()
        .any(|item| item.rsplit("::").next() == Some(method.as_str()));
    Some(PassedCx {
        argument,
        drop_safe,
    })
}

/// The site that an expression is.
pub(crate) fn operation(model: &Model<'_>, expr: &Expr) -> Option<SiteId> {
    let wanted = stripped(expr);
    model
        .site_ids()
        .find(|id| match (model.site(*id).shape, wanted) {
            (Shape::Call(call), Expr::Call(found)) => std::ptr::eq(call, found),
            (Shape::Method(call), Expr::MethodCall(found)) => std::ptr::eq(call, found),
            (Shape::Awaited(base), _) => std::ptr::eq(base, expr) || std::ptr::eq(base, wanted),
            _ => false,
        })
}

/// Whether an operation loses nothing when it is dropped half-way.
pub(crate) fn is_drop_safe(item: &str) -> bool {
    rules::DROP_SAFE.contains(&item)
}

/// Whether a rewritten site uses a `Cx`.
pub(crate) fn needs_cx(model: &Model<'_>, id: SiteId) -> bool {
    let site = model.site(id);
    match site.op() {
        Some(Op::Function { cx, .. } | Op::Associated { cx } | Op::Method { cx, .. }) => cx,
        Some(Op::OnCx { .. }) => true,
        Some(Op::Form(form)) => matches!(
            form,
            Form::Spawn
                | Form::SpawnBlocking
                | Form::Timeout
                | Form::Elapsed
                | Form::CtrlC
                | Form::SendTo
                | Form::Acquire
                | Form::AdvanceClock
                | Form::AwaitOneshot
        ),
        _ => false,
    }
}

/// Whether no code waits for a spawned task: its handle is dropped, or kept and never awaited.
pub(crate) fn nobody_waits(model: &Model<'_>, id: SiteId) -> bool {
    let site = model.site(id);
    if site.detached {
        return true;
    }
    if site.awaited.is_some() {
        return false;
    }
    let Some(place) = site.place else {
        return false;
    };
    let class = model.places.class(place);
    // Whatever is done with the handle may wait for it; only a plain drop does not.
    let in_class =
        |place: Option<PlaceId>| place.is_some_and(|place| model.places.class(place) == class);
    let used = model.site_ids().any(|other| {
        other != id
            && in_class(model.site(other).place)
            && model
                .site(other)
                .item
                .starts_with("tokio::task::JoinHandle")
    });
    let escapes = model
        .escapes
        .iter()
        .any(|escape| in_class(Some(escape.place)));
    !used && !escapes
}

/// The class of a site's edit.
pub(crate) fn safety(
    model: &Model<'_>,
    id: SiteId,
) -> (Safety, &'static str, Option<&'static str>) {
    let site = model.site(id);
    let Some((rule, item)) = site.rule else {
        return (Safety::Safe, "", None);
    };
    if is_exact_capacity(site) {
        return (rule.safety, rule.code, None);
    }
    match site.form() {
        Some(Form::Spawn) if nobody_waits(model, id) => {
            let rule = rules::rule("AM011").unwrap_or(rule);
            let why = "the task becomes a daemon of its caller's region, which asks it to stop when it ends";
            return (rule.safety, rule.code, Some(why));
        }
        Some(Form::Timeout) if !timeout_drains(model, id) => {
            return (Safety::Safe, rule.code, None);
        }
        _ => {}
    }
    if site.drain.is_some() {
        return (
            Safety::Review,
            rule.code,
            Some("the loop drains: it ends when its senders end, bounded by the cleanup budget"),
        );
    }
    match item.review {
        Some(why) => (Safety::Review, rule.code, Some(why)),
        None if rule.safety == Safety::Review => (rule.safety, rule.code, Some(rule.gist())),
        None => (Safety::Safe, rule.code, None),
    }
}

/// Whether a broadcast channel is made with a capacity that tokio would not round up.
fn is_exact_capacity(site: &Site<'_>) -> bool {
    let Shape::Call(call) = site.shape else {
        return false;
    };
    let is_channel = matches!(
        site.item.as_str(),
        "tokio::sync::broadcast::channel" | "tokio::sync::broadcast::Sender::new"
    );
    is_channel
        && matches!(call.args.first(), Some(Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }))
            if number.base10_parse::<usize>().is_ok_and(usize::is_power_of_two))
}

/// Computes what is rewritten.
pub(crate) fn decide(model: &Model<'_>, constraints: &Constraints) -> Decision {
    let mut decision = Decision {
        held: constraints.held.clone(),
        ..Decision::default()
    };
    for id in model.site_ids() {
        let site = model.site(id);
        let held = if site.rule.is_none() {
            Some(Held::NoRule)
        } else if let Some(Op::Kept(why)) = site.op() {
            Some(Held::Form(why.to_owned()))
        } else if site.in_definition {
            Some(Held::Definition)
        } else if !constraints.review && safety(model, id).0 == Safety::Review {
            Some(Held::Review)
        } else {
            None
        };
        if let Some(held) = held {
            decision.held.entry(id).or_insert(held);
        }
    }
    // Each round holds at least one more site or fixes at least one more function.
    let mut fixed = constraints.clone();
    let bound = model.sites.len() + model.functions.len() + 1;
    for _ in 0..bound {
        decision.poison(model);
        let mut changed = decision.hold_families(model);
        changed |= decision.hold_unreachable(model, &fixed);
        changed |= decision.colour(model, &mut fixed);
        if !changed {
            break;
        }
    }
    for id in model.site_ids() {
        let site = model.site(id);
        if decision.rewrites(id)
            && let Some(place) = site.place
        {
            decision
                .moving
                .insert((model.places.class(place), site.family));
        }
    }
    decision
}

impl Decision {
    fn poison(&mut self, model: &Model<'_>) {
        self.poisoned.clear();
        self.partly.clear();
        let mut poison = |place: Option<PlaceId>, family: Family, why: String| {
            if family == Family::Free {
                return;
            }
            self.partly.insert(family);
            if let Some(place) = place {
                self.poisoned
                    .entry((model.places.class(place), family))
                    .or_insert(why);
            }
        };
        for (id, held) in &self.held {
            let site = model.site(*id);
            let why = match held {
                Held::Family(root) => root.clone(),
                Held::NoRule => format!("`{}` has no rule", short(&site.item)),
                other => format!("`{}`: {}", short(&site.item), other.reason()),
            };
            poison(site.place, site.family, why);
        }
        for site in &model.sites {
            if let Some(place) = site.place
                && site.family == Family::Io
                && let Some(ty) = model
                    .places
                    .seen(place)
                    .iter()
                    .find(|ty| model.polled.contains(*ty))
            {
                let why = format!("`{}` polls tokio's traits", short(ty));
                poison(Some(place), Family::Io, why);
            }
        }
        for site in &model.sites {
            if let Some(place) = site.place
                && site.family == Family::Io
                && let seen = model.places.seen(place)
                && seen.contains(rules::FILE)
                && (site.item.starts_with("tokio::io::copy")
                    || seen.iter().any(|ty| rules::takes_streams(ty)))
            {
                let why = "a `File` is a stream through `file.io(cx)` only: wrap it by hand";
                poison(Some(place), Family::Io, why.to_owned());
            }
        }
        for occurrence in &model.occurrences {
            let known = matches!(
                rules::lookup(&occurrence.item),
                Some((_, item)) if !matches!(item.op, Op::Form(_)) || occurrence.site.is_some()
            );
            if !known && let Some(family) = rules::family_of(&occurrence.item) {
                let why = format!("`{}` has no rule", short(&occurrence.item));
                poison(occurrence.place, family, why);
            }
        }
        for escape in &model.escapes {
            for ty in model.places.seen(escape.place) {
                if ty.starts_with("tokio::")
                    && let Some(family) = rules::family_of(ty)
                    && (escape.families.is_empty() || escape.families.contains(&family))
                {
                    poison(Some(escape.place), family, escape.reason.clone());
                }
            }
        }
    }

    fn hold_families(&mut self, model: &Model<'_>) -> bool {
        let mut changed = false;
        for id in model.site_ids() {
            let site = model.site(id);
            if site.family == Family::Free || !self.rewrites(id) {
                continue;
            }
            let Some(place) = site.place else { continue };
            let class = model.places.class(place);
            if let Some(why) = self.poisoned.get(&(class, site.family)) {
                self.held.insert(id, Held::Family(why.clone()));
                changed = true;
            }
        }
        changed
    }

    fn hold_unreachable(&mut self, model: &Model<'_>, constraints: &Constraints) -> bool {
        let mut changed = false;
        for id in model.site_ids() {
            if !self.rewrites(id) || !needs_cx(model, id) {
                continue;
            }
            if let Err(why) = self.source(model, constraints, model.site(id).frame) {
                self.held.insert(id, Held::NoContext(why));
                changed = true;
            }
        }
        changed
    }

    /// Collects the functions that need a `Cx`; a function that a caller cannot give one becomes fixed.
    fn colour(&mut self, model: &Model<'_>, constraints: &mut Constraints) -> bool {
        let mut needed: BTreeSet<FnId> = BTreeSet::new();
        for id in model.site_ids() {
            if self.rewrites(id)
                && needs_cx(model, id)
                && let Ok(Source::Function(function)) =
                    self.source(model, constraints, model.site(id).frame)
                && model.function(function).given.is_none()
            {
                needed.insert(function);
            }
        }
        let mut changed = false;
        loop {
            let mut grown = needed.clone();
            for id in &needed {
                grown.extend(&model.function(*id).tied);
            }
            for call in &model.calls {
                if !needed.contains(&call.callee) {
                    continue;
                }
                match self.source(model, constraints, call.frame) {
                    Ok(Source::Function(caller)) => {
                        if model.function(caller).given.is_none() {
                            grown.insert(caller);
                        }
                    }
                    Ok(Source::Body(_) | Source::Closure) => {}
                    Err(why) => {
                        let why = format!("a caller has none: {why}");
                        changed |= constraints.fixed.insert(call.callee, why).is_none();
                    }
                }
            }
            for id in &needed {
                if let Err(why) = self.can_colour(model, constraints, *id) {
                    for tied in &model.function(*id).tied {
                        changed |= constraints.fixed.insert(*tied, why.clone()).is_none();
                    }
                }
            }
            if grown.len() == needed.len() {
                break;
            }
            needed = grown;
        }
        self.coloured = needed;
        changed
    }
}

/// The last two segments of an item's path: `Receiver::recv`.
pub(crate) fn short(item: &str) -> String {
    let parts: Vec<&str> = item.split("::").collect();
    let start = parts.len().saturating_sub(2);
    parts[start..].join("::")
}
