package engine

// tree is a B-tree of items in the order of less. It is our own because nodes must not keep pointers to
// items that have left them: items are large beside their 8 bytes in a node, and a tree that splits its
// nodes by slicing pins as many dead items as it holds live ones.
//
// Items that differ have no equal order. Readers may share it while nobody changes it.
type tree struct {
	less  func(a, b *item) bool
	root  *node
	count int
}

// A node takes 512 bytes, a size class of the allocator.
const (
	nodeItemsMax  = 62
	nodeItemsMin  = nodeItemsMax / 3
	nodeItemsLoad = 50 // in a tree that is built at once: room for some inserts before nodes split
	treeHeightMax = 14 // far more items than fit into memory
)

type node struct {
	items    [nodeItemsMax]*item // nil from count on
	count    int
	children *[nodeItemsMax + 1]*node // nil in a leaf; children[i] lies before items[i]
}

func newTree(less func(a, b *item) bool) *tree { return &tree{less: less, root: new(node)} }

func newInner() *node { return &node{children: new([nodeItemsMax + 1]*node)} }

// search returns the first place in n whose item is not less than it, and whether it has equal order.
func (t *tree) search(n *node, it *item) (i int, found bool) {
	low, high := 0, n.count
	for low < high {
		middle := (low + high) / 2
		if t.less(n.items[middle], it) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < n.count && !t.less(it, n.items[low])
}

// get returns the item of equal order, nil if there is none.
func (t *tree) get(it *item) *item {
	for n := t.root; ; {
		i, found := t.search(n, it)
		if found {
			return n.items[i]
		}
		if n.children == nil {
			return nil
		}
		n = n.children[i]
	}
}

// min returns the first item, nil if there is none.
func (t *tree) min() *item {
	n := t.root
	for n.children != nil {
		n = n.children[0]
	}
	return n.items[0]
}

// set inserts the item, or replaces the one of equal order.
func (t *tree) set(it *item) {
	if t.root.count == nodeItemsMax {
		root := newInner()
		root.children[0] = t.root
		root.split(0)
		t.root = root
	}
	n := t.root
	for {
		i, found := t.search(n, it)
		if found {
			n.items[i] = it
			return
		}
		if n.children == nil {
			n.insert(i, it, nil)
			t.count++
			return
		}
		if n.children[i].count == nodeItemsMax {
			n.split(i)
			continue
		}
		n = n.children[i]
	}
}

// insert puts an item at place i and the child that follows it behind.
func (n *node) insert(i int, it *item, child *node) {
	copy(n.items[i+1:n.count+1], n.items[i:n.count])
	n.items[i] = it
	if child != nil {
		copy(n.children[i+2:n.count+2], n.children[i+1:n.count+1])
		n.children[i+1] = child
	}
	n.count++
}

// remove takes out the item at place i and the child that follows it.
func (n *node) remove(i int) *item {
	it := n.items[i]
	copy(n.items[i:n.count], n.items[i+1:n.count])
	if n.children != nil {
		copy(n.children[i+1:n.count+1], n.children[i+2:n.count+1])
		n.children[n.count] = nil
	}
	n.count--
	n.items[n.count] = nil
	return it
}

// split divides the full child i, whose median comes up. n has room.
func (n *node) split(i int) {
	const half = nodeItemsMax / 2
	left := n.children[i]
	right := new(node)
	if left.children != nil {
		right = newInner()
		copy(right.children[:], left.children[half+1:])
		clear(left.children[half+1:])
	}
	median := left.items[half]
	right.count = copy(right.items[:], left.items[half+1:])
	clear(left.items[half:])
	left.count = half
	n.insert(i, median, right)
}

// delete removes the item of equal order.
func (t *tree) delete(it *item) {
	if t.root.delete(t, it) {
		t.count--
	}
	if t.root.count == 0 && t.root.children != nil {
		t.root = t.root.children[0]
	}
}

func (n *node) delete(t *tree, it *item) bool {
	i, found := t.search(n, it)
	switch {
	case n.children == nil:
		if found {
			n.remove(i)
		}
		return found
	case found:
		n.items[i] = n.children[i].deleteLast()
	default:
		found = n.children[i].delete(t, it)
	}
	n.balance(i)
	return found
}

// deleteLast removes and returns the last item below n.
func (n *node) deleteLast() *item {
	if n.children == nil {
		return n.remove(n.count - 1)
	}
	it := n.children[n.count].deleteLast()
	n.balance(n.count)
	return it
}

// balance refills child i from a neighbour, or joins the two, if it has become too small.
func (n *node) balance(i int) {
	if n.children[i].count >= nodeItemsMin {
		return
	}
	i = min(i, n.count-1)
	left, right := n.children[i], n.children[i+1]
	switch {
	case left.count+right.count < nodeItemsMax:
		left.join(n.items[i], right)
		n.remove(i)
	case left.count > right.count:
		var child *node
		if left.children != nil {
			child = left.children[left.count]
		}
		right.prepend(n.items[i], child)
		n.items[i] = left.remove(left.count - 1)
	default:
		var child *node
		if right.children != nil {
			child = right.children[0]
		}
		left.insert(left.count, n.items[i], child)
		n.items[i] = right.removeFirst()
	}
}

// join appends the item and all of right.
func (n *node) join(it *item, right *node) {
	n.items[n.count] = it
	copy(n.items[n.count+1:], right.items[:right.count])
	if n.children != nil {
		copy(n.children[n.count+1:], right.children[:right.count+1])
	}
	n.count += right.count + 1
}

// prepend puts a child and an item before all others.
func (n *node) prepend(it *item, child *node) {
	copy(n.items[1:n.count+1], n.items[:n.count])
	n.items[0] = it
	if child != nil {
		copy(n.children[1:n.count+2], n.children[:n.count+1])
		n.children[0] = child
	}
	n.count++
}

// removeFirst takes out the first item and the first child.
func (n *node) removeFirst() *item {
	if n.children != nil {
		n.children[0] = n.children[1]
	}
	return n.remove(0)
}

// loadTree builds a tree of items that are in order.
func loadTree(less func(a, b *item) bool, items []*item) *tree {
	t := &tree{less: less, count: len(items)}
	var level []*node
	for len(level) != 1 {
		level, items = loadLevel(level, items)
	}
	t.root = level[0]
	return t
}

// loadLevel spreads children, one more than items, or nil for a level of leaves, and the items between
// them evenly over nodes. The items between those nodes are left for the level above.
func loadLevel(children []*node, items []*item) (nodes []*node, between []*item) {
	count := (len(items) + 1 + nodeItemsLoad) / (nodeItemsLoad + 1)
	for i := range count {
		n := new(node)
		first, end := i*(len(items)+1)/count, (i+1)*(len(items)+1)/count-1
		n.count = copy(n.items[:], items[first:end])
		if children != nil {
			n.children = new([nodeItemsMax + 1]*node)
			copy(n.children[:], children[first:end+1])
		}
		nodes = append(nodes, n)
		if end < len(items) {
			between = append(between, items[end])
		}
	}
	return nodes, between
}

// iterator walks a tree in order. The tree must not change meanwhile.
type iterator struct {
	path   [treeHeightMax]step // the item is at the last step
	height int                 // 0: at the end
}

type step struct {
	node *node
	i    int
}

func (p *iterator) push(n *node, i int) {
	p.path[p.height] = step{n, i}
	p.height++
}

// item returns the present item, nil at the end.
func (p *iterator) item() *item {
	if p.height == 0 {
		return nil
	}
	at := p.path[p.height-1]
	return at.node.items[at.i]
}

// seek returns an iterator at the first item that is not less than pivot, or at the first of all if
// pivot is nil.
func (t *tree) seek(pivot *item) (p iterator) {
	for n := t.root; ; {
		i, found := 0, false
		if pivot != nil {
			i, found = t.search(n, pivot)
		}
		p.push(n, i)
		if found {
			return p
		}
		if n.children == nil {
			p.climb()
			return p
		}
		n = n.children[i]
	}
}

// climb leaves nodes that are at their end.
func (p *iterator) climb() {
	for p.height > 0 && p.path[p.height-1].i == p.path[p.height-1].node.count {
		p.height--
	}
}

func (p *iterator) next() {
	at := &p.path[p.height-1]
	at.i++
	for n := at.node; n.children != nil; {
		n = n.children[p.path[p.height-1].i]
		p.push(n, 0)
	}
	p.climb()
}

// ascend calls fn from the first item not less than pivot, or from the first of all if pivot is nil,
// until it returns false.
func (t *tree) ascend(pivot *item, fn func(it *item) bool) {
	for p := t.seek(pivot); p.item() != nil && fn(p.item()); {
		p.next()
	}
}
