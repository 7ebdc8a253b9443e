pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut last = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = last + usize::from(x != *y);
            last = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(last + 1);
        }
    }
    row[b.len()]
}
