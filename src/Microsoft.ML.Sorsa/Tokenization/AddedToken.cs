namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>A token that is found in the text as it stands, before anything else happens to it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether decoding can skip it.</param>
/// <param name="TakesSpaceBefore">lstrip: white space before it belongs to it.</param>
/// <param name="TakesSpaceAfter">rstrip: white space after it belongs to it.</param>
internal sealed record AddedToken(int Id, string Content, bool Special, bool TakesSpaceBefore = false, bool TakesSpaceAfter = false);
