using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>What stands in quotes is the user's own: a path, a column, a value. It is never another name of something.</summary>
internal static partial class Quotation
{
    /// <summary>Rewrites what stands around the quotes.</summary>
    public static string Around(string message, Func<string, string> rewrite) =>
        string.Concat(Quoted.Split(message).Select((part, i) => i % 2 == 0 ? rewrite(part) : part));

    /// <summary>It begins behind no letter and ends in front of none, which the apostrophe of "file's" does not.</summary>
    [GeneratedRegex("""((?<!\w)'.*?'(?!\w)|(?<!\w)".*?"(?!\w))""", RegexOptions.Singleline)]
    private static partial Regex Quoted { get; }
}
