namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>A change of the text before it is cut: a normalizer, or the part of Metaspace that is one.</summary>
internal abstract record TextRewrite
{
    /// <param name="text">A stretch of text between special tokens; not empty at first.</param>
    /// <param name="atStart">Whether it begins where the whole text begins.</param>
    public abstract string Apply(string text, bool atStart);
}

/// <summary>The normalizer Prepend: an empty text stays empty.</summary>
internal sealed record PrependRewrite(string Prefix) : TextRewrite
{
    public override string Apply(string text, bool atStart) => text.Length == 0 ? text : Prefix + text;
}

/// <summary>The normalizer Replace with a plain string.</summary>
internal sealed record ReplaceRewrite(string Old, string New) : TextRewrite
{
    public override string Apply(string text, bool atStart) => text.Replace(Old, New, StringComparison.Ordinal);
}

/// <summary>
/// Metaspace: marks for spaces, and one in front of a text that does not begin with one: of each stretch, of the first only ("first" means
/// offset 0 of the whole text), or of none.
/// </summary>
internal sealed record MetaspaceRewrite(char Mark, MetaspacePrefix Prefix) : TextRewrite
{
    public override string Apply(string text, bool atStart)
    {
        string marked = text.Replace(' ', Mark);
        bool wanted = Prefix == MetaspacePrefix.Always || (Prefix == MetaspacePrefix.First && atStart);
        return wanted && marked.Length > 0 && marked[0] != Mark ? Mark + marked : marked;
    }
}

/// <summary>Where Metaspace puts a mark in front.</summary>
internal enum MetaspacePrefix
{
    Always,
    First,
    Never,
}
