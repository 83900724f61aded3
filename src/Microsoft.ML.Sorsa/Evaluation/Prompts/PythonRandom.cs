using System.Numerics;

namespace Microsoft.ML.Sorsa.Evaluation.Prompts;

/// <summary>
/// The numbers that Python's <c>random.Random(seed)</c> draws: evaluation programs are written in Python, and which examples stand in
/// front of a question follows from its generator. Mersenne Twister 19937 with words of 32 bits (Matsumoto and Nishimura, ACM TOMACS 8,
/// 1998; seeded as in their version of 2002), and CPython's ways from its words to a number and to a sample, as they are since 3.2.
/// </summary>
internal sealed class PythonRandom
{
    private const int Size = 624, Middle = 397;

    private readonly uint[] _state = new uint[Size];
    private int _next = Size;

    /// <param name="seed">Python takes a seed's absolute value.</param>
    public PythonRandom(int seed)
    {
        FillFrom(19650218);
        uint key = (uint)Math.Abs((long)seed);

        // init_by_array with a key of one word: its index stays 0.
        int at = 1;
        for (int i = 0; i < Size; i++)
        {
            Mix(1664525, key);
        }

        for (int i = 0; i < Size - 1; i++)
        {
            Mix(1566083941, unchecked((uint)-at));
        }

        _state[0] = 0x80000000;

        void Mix(uint factor, uint addend)
        {
            uint before = _state[at - 1];
            _state[at] = unchecked((_state[at] ^ ((before ^ (before >> 30)) * factor)) + addend);
            if (++at == Size)
            {
                _state[0] = _state[Size - 1];
                at = 1;
            }
        }
    }

    /// <summary><c>random.sample(range(count), size)</c>: different numbers below <paramref name="count"/>, in the order drawn.</summary>
    public int[] Sample(int count, int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, count);
        return count <= MostForAList(size) ? FromAList(count, size) : WithoutAList(count, size);
    }

    /// <summary>Up to so many numbers a list of all of them takes less memory than a set of those drawn: CPython's estimate.</summary>
    private static int MostForAList(int size)
    {
        const int Least = 21;
        if (size <= 5)
        {
            return Least;
        }

        // The least power of 4 that is 3 size or more.
        long table = 1;
        while (table < 3L * size)
        {
            table *= 4;
        }

        return (int)Math.Min(Least + table, int.MaxValue);
    }

    /// <summary>What is drawn goes; the last of those that are left takes its place.</summary>
    private int[] FromAList(int count, int size)
    {
        int[] left = [.. Enumerable.Range(0, count)], drawn = new int[size];
        for (int i = 0; i < size; i++)
        {
            int place = Below(count - i);
            drawn[i] = left[place];
            left[place] = left[count - i - 1];
        }

        return drawn;
    }

    /// <summary>What was drawn before is drawn again.</summary>
    private int[] WithoutAList(int count, int size)
    {
        HashSet<int> seen = [];
        int[] drawn = new int[size];
        for (int i = 0; i < size; i++)
        {
            do
            {
                drawn[i] = Below(count);
            }
            while (!seen.Add(drawn[i]));
        }

        return drawn;
    }

    /// <summary>A number from 0 to below <paramref name="count"/>: as few of a word's upper bits as it needs, until they fit.</summary>
    private int Below(int count)
    {
        int bits = 32 - BitOperations.LeadingZeroCount((uint)count);
        uint number;
        do
        {
            number = NextWord() >> (32 - bits);
        }
        while (number >= (uint)count);
        return (int)number;
    }

    private uint NextWord()
    {
        if (_next == Size)
        {
            Twist();
        }

        uint word = _state[_next++];
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c5680;
        word ^= (word << 15) & 0xefc60000;
        return word ^ (word >> 18);
    }

    private void Twist()
    {
        for (int i = 0; i < Size; i++)
        {
            uint joined = (_state[i] & 0x80000000) | (_state[(i + 1) % Size] & 0x7fffffff);
            _state[i] = _state[(i + Middle) % Size] ^ (joined >> 1) ^ ((joined & 1) == 0 ? 0 : 0x9908b0df);
        }

        _next = 0;
    }

    private void FillFrom(uint seed)
    {
        _state[0] = seed;
        for (int i = 1; i < Size; i++)
        {
            uint before = _state[i - 1];
            _state[i] = unchecked((1812433253 * (before ^ (before >> 30))) + (uint)i);
        }
    }
}
