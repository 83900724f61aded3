using System.Xml.Linq;

namespace ReproducePaper.Report;

/// <summary>A figure of the report.</summary>
/// <param name="Id">A word, its identity on the page.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Shows">What it shows and how to read it.</param>
/// <param name="Panels">Drawings, each with its own heading.</param>
/// <param name="Legend">What marks and lines stand for, or null.</param>
/// <param name="Claims">Claims that it bears on.</param>
internal sealed record ReportFigure(
    string Id, string Title, string Shows, IReadOnlyList<(string Caption, IReadOnlyList<XElement> Drawings)> Panels, XElement? Legend,
    IReadOnlyList<Claim> Claims);
