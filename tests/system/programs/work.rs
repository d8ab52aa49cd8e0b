// SPDX-License-Identifier: Apache-2.0
// Iterators, closures, trait objects, hash maps, a caught panic and a second thread.
use std::collections::HashMap;
use std::hint::black_box;

trait Shape {
    fn area(&self) -> f64;
}
struct Circle(f64);
struct Many(Vec<Box<dyn Shape>>);

impl Shape for Circle {
    #[inline(never)]
    fn area(&self) -> f64 {
        (0..200).map(|i| (self.0 + i as f64).sqrt()).sum()
    }
}

impl Shape for Many {
    #[inline(never)]
    fn area(&self) -> f64 {
        self.0.iter().map(|s| s.area()).sum()
    }
}

#[inline(never)]
fn count_words(text: &str) -> usize {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sorted[0].1
}

#[inline(never)]
fn parse(n: u32) -> u32 {
    if n % 7 == 0 {
        panic!("a number that nobody likes");
    }
    format!("{n:#010x}").len() as u32
}

fn run() {
    let text: String = (0..2000).map(|i| format!("Word{} ", i % 131)).collect();
    let shapes = Many((0..50).map(|i| Box::new(Circle(i as f64)) as Box<dyn Shape>).collect());
    for n in 0.. {
        black_box(count_words(&text));
        black_box(shapes.area());
        let _ = black_box(std::panic::catch_unwind(|| parse(n)));
    }
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let other = std::thread::spawn(run);
    run();
    other.join().unwrap();
}
