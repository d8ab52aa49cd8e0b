// SPDX-License-Identifier: Apache-2.0
// Templates, delegates, ranges, a caught exception, the garbage collector and a second thread.
import core.thread : Thread;
import std.algorithm : map, sort, sum;
import std.array : array, split;
import std.exception : enforce;

__gshared ulong sink;

struct Cart(T)
{
    T[] items;

    pragma(inline, false) ulong total(ulong delegate(T) weigh)
    {
        ulong all;
        foreach (item; items)
            all += weigh(item);
        return all;
    }
}

pragma(inline, false) ulong weigh(uint item)
{
    ulong v = item;
    foreach (i; 0 .. 20_000)
        v = v * 6_364_136_223_846_793_005 + i;
    return v;
}

pragma(inline, false) size_t countWords(string text)
{
    size_t[string] counts;
    foreach (word; text.split)
        counts[word]++;
    return counts.values.sort.map!(n => n * n).sum;
}

pragma(inline, false) uint parse(uint n)
{
    enforce(n % 7, "a number that nobody likes");
    return n * 3;
}

void work()
{
    auto cart = Cart!uint([1, 2, 3, 4, 5, 6, 7, 8]);
    immutable text = "the quick brown fox jumps over the lazy dog and the cat";

    for (uint i = 0;; i++)
    {
        sink += cart.total((uint item) => weigh(item + i));
        foreach (k; 0 .. 20)
            sink += countWords(text);
        try
            sink += parse(i);
        catch (Exception e)
            sink += e.msg.length;
    }
}

void main()
{
    auto other = new Thread(&work);
    other.start();
    work();
}
