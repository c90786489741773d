//! The tree against plain maps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

impl Value for u32 {}

impl Value for usize {}

impl<V: Value> Tree<u32, V> {
    /// Holds what every tree must be, and gives how full its leaves are.
    fn check(&self) -> f64 {
        let mut leaves = 0;
        if let Some(root) = &self.root {
            root.check(None, None, &mut leaves);
            assert!(matches!(root, Node::Leaf(_)) || root.len() > 1);
        }
        assert_eq!(self.iter().count(), self.len);
        self.len as f64 / (leaves * WIDTH).max(1) as f64
    }
}

impl<V: Value> Node<u32, V> {
    /// Gives the node's height.
    fn check(&self, low: Option<u32>, high: Option<u32>, leaves: &mut usize) -> usize {
        assert!(self.len() > 0);
        match self {
            Node::Leaf(leaf) => {
                *leaves += 1;
                assert!(leaf.is_sorted_by(|one, other| one.0 < other.0));
                assert!(low.is_none_or(|low| low <= leaf[0].0));
                assert!(high.is_none_or(|high| leaf[leaf.len() - 1].0 < high));
                0
            }
            Node::Branch(branch) => {
                let lows: Vec<Option<u32>> = [low]
                    .into_iter()
                    .chain(branch[1..].iter().map(|(low, _)| Some(*low)))
                    .chain([high])
                    .collect();
                let mut children = branch.iter().zip(lows.windows(2));
                let heights: Vec<usize> = children
                    .by_ref()
                    .map(|((_, node), bounds)| node.check(bounds[0], bounds[1], leaves))
                    .collect();
                assert!(heights.iter().all(|height| *height == heights[0]));
                heights[0] + 1
            }
        }
    }
}

fn filled(keys: impl IntoIterator<Item = u32>) -> Tree<u32, u32> {
    let mut tree = Tree::default();
    for key in keys {
        tree.insert(key, key);
    }
    tree
}

fn mixed(key: u32) -> u32 {
    key.wrapping_mul(2_654_435_761)
}

#[test]
fn leaves_are_well_filled_in_whatever_order_the_keys_come() {
    let fill = |keys: &mut dyn Iterator<Item = u32>| filled(keys).check();
    assert!(fill(&mut (0..10_000)) > 0.99);
    assert!(fill(&mut (0..10_000).rev()) > 0.62);
    assert!(fill(&mut (0..10_000).map(|key| key % 100 * 1000 + key / 100)) > 0.6);
    assert!(fill(&mut (0..10_000).map(|key| mixed(key) ^ key >> 3)) > 0.6);
}

#[test]
fn a_tree_that_is_emptied_in_any_order_shrinks_all_the_way() {
    let keys: Vec<u32> = (0..5000).map(mixed).collect();
    let sorted = |mut keys: Vec<u32>| {
        keys.sort_unstable();
        keys
    };
    let reversed = sorted(keys.clone()).into_iter().rev().collect();
    for order in [keys.clone(), sorted(keys.clone()), reversed] {
        let mut tree = filled(keys.iter().copied());
        for (number, key) in order.into_iter().enumerate() {
            assert_eq!(tree.remove(&key), Some(key));
            assert_eq!(tree.remove(&key), None);
            if number % 100 == 0 && tree.len() > 100 {
                assert!(tree.check() > 0.3);
            }
        }
        assert!(tree.root.is_none());
    }
}

#[test]
fn a_tree_of_keys_in_order_has_full_leaves_and_can_be_changed() {
    for count in [0, 1, 16, 17, 256, 257, 5000] {
        let mut builder = Builder::default();
        assert!((0..count).all(|key| builder.push(key * 2, key * 2)));
        assert!(count == 0 || !builder.push(count * 2 - 2, 0));
        let mut tree = builder.finish();
        assert_eq!(tree.len(), count as usize);
        assert!(count < 256 || tree.check() > 0.93);
        assert!(tree.iter().map(|(key, _)| *key).eq((0..count).map(|key| key * 2)));
        for key in 0..count {
            tree.insert(key * 2 + 1, 0);
            assert_eq!(tree.remove(&(key * 2)), Some(key * 2));
        }
        tree.check();
        assert!(tree.iter().map(|(key, _)| *key).eq((0..count).map(|key| key * 2 + 1)));
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u32),
    Remove(u32),
    /// So many keys in order from this one on.
    InsertRun(u32, u32),
    RemoveRun(u32, u32),
    Change(u32),
    Clone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..2000_u32;
    let step = prop_oneof![
        8 => key().prop_map(Step::Insert),
        6 => key().prop_map(Step::Remove),
        3 => (key(), 1..200_u32).prop_map(|(from, count)| Step::InsertRun(from, count)),
        2 => (key(), 1..200_u32).prop_map(|(from, count)| Step::RemoveRun(from, count)),
        2 => key().prop_map(Step::Change),
        1 => Just(Step::Clone),
    ];
    prop::collection::vec(step, 1..60)
}

type Model = BTreeMap<u32, usize>;

fn step(tree: &mut Tree<u32, usize>, model: &mut Model, number: usize, step: Step) {
    match step {
        Step::Insert(key) => {
            tree.insert(key, number);
            model.insert(key, number);
        }
        Step::Remove(key) => assert_eq!(tree.remove(&key), model.remove(&key)),
        Step::InsertRun(from, count) => {
            (from..from + count).for_each(|key| tree.insert(key, number));
            model.extend((from..from + count).map(|key| (key, number)));
        }
        Step::RemoveRun(from, count) => {
            for key in from..from + count {
                assert_eq!(tree.remove(&key), model.remove(&key));
            }
        }
        Step::Change(key) => {
            let value = tree.get_mut(&key).map(|value| std::mem::replace(value, number));
            assert_eq!(value, model.get_mut(&key).map(|value| std::mem::replace(value, number)));
        }
        Step::Clone => {}
    }
}

fn assert_same(tree: &Tree<u32, usize>, model: &Model) {
    tree.check();
    assert!(tree.iter().eq(model.iter()));
    assert_eq!(tree.first(), model.first_key_value());
    for key in (0..2200).step_by(17) {
        assert_eq!(tree.get(&key), model.get(&key));
        for bound in [Bound::Included(&key), Bound::Excluded(&key)] {
            assert!(tree.from(bound).eq(model.range((bound, Bound::Unbounded))));
        }
    }
}

proptest! {
    #[test]
    fn it_is_an_ordered_map_and_its_clones_stay_as_they_were(steps in steps()) {
        let (mut tree, mut model) = (Tree::default(), Model::new());
        let mut clones = Vec::new();
        for (number, next) in steps.into_iter().enumerate() {
            step(&mut tree, &mut model, number, next);
            prop_assert_eq!(tree.len(), model.len());
            if matches!(next, Step::Clone) {
                clones.push((tree.clone(), model.clone()));
            }
        }
        assert_same(&tree, &model);
        for (tree, model) in &clones {
            assert_same(tree, model);
        }
    }
}
