using System.Buffers;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// The normalizers NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15), in the Unicode version of the tokenizers library: characters that
/// are younger stay as they are, as there. (<see cref="string.Normalize()"/> changes nothing in a process without ICU, as containers
/// often are, and elsewhere knows the Unicode version of the machine.)
/// </summary>
/// <param name="Composes">Whether characters and their marks become one character where there is one: NFC and NFKC.</param>
/// <param name="Compatibility">Whether variants become the plain character ("ﬁ" becomes "fi"): NFKC and NFKD.</param>
internal sealed record UnicodeRewrite(bool Composes, bool Compatibility) : TextRewrite
{
    // Characters below stay as they are, and no character combines with one before it.
    private char FirstThatMayChange => Compatibility ? '\u00A0' : Composes ? '\u0300' : '\u00C0';

    public override string Apply(string text, bool atStart)
    {
        char first = FirstThatMayChange;
        int at = text.AsSpan().IndexOfAnyInRange(first, char.MaxValue);
        if (at < 0)
        {
            return text;
        }

        StringBuilder result = new(text.Length);
        List<int> codes = [];
        int done = 0;
        while (at >= 0)
        {
            // The character before may take a mark.
            int start = Math.Max(done, at - 1);
            int length = text.AsSpan(at).IndexOfAnyInRange('\0', (char)(first - 1));
            int end = length < 0 ? text.Length : at + length;
            result.Append(text, done, start - done);
            Append(text.AsSpan(start, end - start), codes, result);
            done = end;
            int next = text.AsSpan(done).IndexOfAnyInRange(first, char.MaxValue);
            at = next < 0 ? next : done + next;
        }

        return result.Append(text, done, text.Length - done).ToString();
    }

    private void Append(ReadOnlySpan<char> text, List<int> codes, StringBuilder result)
    {
        codes.Clear();
        foreach (Rune character in text.EnumerateRunes())
        {
            UnicodeDecompositions.Decompose(character.Value, Compatibility, codes);
        }

        Order(codes);
        if (Composes)
        {
            Compose(codes);
        }

        Span<char> units = stackalloc char[2];
        foreach (int code in codes)
        {
            result.Append(units[..new Rune(code).EncodeToUtf16(units)]);
        }
    }

    /// <summary>Marks between two base characters by their class; those of one class stay in their order.</summary>
    private static void Order(List<int> codes)
    {
        for (int i = 0; i < codes.Count; i++)
        {
            int first = i;
            while (i < codes.Count && UnicodeDecompositions.ClassOf(codes[i]) > 0)
            {
                i++;
            }

            if (i - first > 1)
            {
                int[] marks = [.. codes.Skip(first).Take(i - first).OrderBy(UnicodeDecompositions.ClassOf)];
                for (int k = 0; k < marks.Length; k++)
                {
                    codes[first + k] = marks[k];
                }
            }
        }
    }

    /// <summary>A mark joins the base character before it unless one of its own class or a higher one stands between.</summary>
    private static void Compose(List<int> codes)
    {
        const int Adjacent = -1;
        int kept = 0, last = Adjacent;
        int? starter = null;
        for (int i = 0; i < codes.Count; i++)
        {
            int code = codes[i];
            int markClass = UnicodeDecompositions.ClassOf(code);
            if (starter is int at && last < markClass && UnicodeDecompositions.TryCompose(codes[at], code, out int composite))
            {
                codes[at] = composite;
                continue;
            }

            if (markClass == 0)
            {
                starter = kept;
            }

            last = markClass == 0 ? Adjacent : markClass;
            codes[kept++] = code;
        }

        codes.RemoveRange(kept, codes.Count - kept);
    }
}

/// <summary>The Unicode Character Database's decompositions, from UnicodeDecompositions.txt; read when they are first needed.</summary>
internal static class UnicodeDecompositions
{
    // Hangul syllables are computed: a leading consonant, a vowel and perhaps a trailing consonant.
    private const int FirstSyllable = 0xAC00, FirstLeading = 0x1100, FirstVowel = 0x1161, BeforeTrailing = 0x11A7;
    private const int Leadings = 19, Vowels = 21, Trailings = 28;

    private static readonly Dictionary<int, int> s_classes = [];
    private static readonly Dictionary<int, int[]> s_canonical = [];
    private static readonly Dictionary<int, int[]> s_compatibility = [];
    private static readonly Dictionary<(int First, int Second), int> s_composites = [];

    static UnicodeDecompositions()
    {
        using Stream stream = typeof(UnicodeDecompositions).Assembly.GetManifestResourceStream("UnicodeDecompositions.txt")!;
        using StreamReader reader = new(stream);
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith('#'))
            {
                Add(line.Split(' '));
            }
        }
    }

    /// <summary>The canonical combining class; 0 for base characters.</summary>
    public static int ClassOf(int code) => code < 0x300 ? 0 : s_classes.GetValueOrDefault(code);

    /// <summary>Appends what a character consists of.</summary>
    public static void Decompose(int code, bool compatibility, List<int> codes)
    {
        int syllable = code - FirstSyllable;
        if (syllable is >= 0 and < Leadings * Vowels * Trailings)
        {
            codes.Add(FirstLeading + (syllable / (Vowels * Trailings)));
            codes.Add(FirstVowel + (syllable / Trailings % Vowels));
            if (syllable % Trailings > 0)
            {
                codes.Add(BeforeTrailing + (syllable % Trailings));
            }
        }
        else if (s_canonical.TryGetValue(code, out int[]? parts) || (compatibility && s_compatibility.TryGetValue(code, out parts)))
        {
            foreach (int part in parts)
            {
                Decompose(part, compatibility, codes);
            }
        }
        else
        {
            codes.Add(code);
        }
    }

    /// <summary>The one character for two.</summary>
    public static bool TryCompose(int first, int second, out int composite)
    {
        if (first - FirstLeading is >= 0 and < Leadings && second - FirstVowel is >= 0 and < Vowels)
        {
            composite = FirstSyllable + ((((first - FirstLeading) * Vowels) + second - FirstVowel) * Trailings);
            return true;
        }

        int syllable = first - FirstSyllable;
        if (syllable is >= 0 and < Leadings * Vowels * Trailings && syllable % Trailings == 0
            && second - BeforeTrailing is > 0 and < Trailings)
        {
            composite = first + second - BeforeTrailing;
            return true;
        }

        return s_composites.TryGetValue((first, second), out composite);
    }

    private static void Add(string[] line)
    {
        if (line is [var range, ['#', .. var markClass]])
        {
            string[] ends = range.Split("..");
            for (int code = Hex(ends[0]); code <= Hex(ends[1]); code++)
            {
                s_classes[code] = int.Parse(markClass, CultureInfo.InvariantCulture);
            }

            return;
        }

        int whole = Hex(line[0]);
        int[] parts = [.. line[2..].Select(Hex)];
        (line[1] == "<" ? s_compatibility : s_canonical)[whole] = parts;
        if (line[1] == "=")
        {
            s_composites[(parts[0], parts[1])] = whole;
        }
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
