using System.Globalization;
using System.Xml;
using System.Xml.Linq;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>
/// The page: one HTML file that is well-formed XML too, without a script, and with nothing in it that comes from elsewhere.
/// </summary>
internal static class ReportPage
{
    // No character that XML would escape: browsers read a style as it is.
    private const string Style = """

        :root { color-scheme: light dark; --ink: #1f2630; --ground: #ffffff; --quiet: #5a6370; --line: #d9dde2; --code: #eef1f4;
            --best: #fce8f0; --pruned: #68707a; --failed: #b34f00; }
        @media screen and (prefers-color-scheme: dark) {
            :root { --ink: #e4e8ec; --ground: #000000; --quiet: #aab3bd; --line: #333b45; --code: #20272f;
                --best: #4a1730; --pruned: #98a1ab; --failed: #ffab66; }
            svg { filter: invert(1) hue-rotate(180deg); }
        }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 1200px; padding: 24px 20px 48px; color: var(--ink); background: var(--ground);
            font: 15px/1.5 Arial, Helvetica, sans-serif; }
        h1 { margin: 0 0 8px; font-size: 26px; overflow-wrap: anywhere; }
        h2 { margin: 0 0 2px; font-size: 17px; }
        p { margin: 0 0 12px; max-width: 1000px; overflow-wrap: anywhere; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 0 0 14px; font-size: 13.5px; }
        dt { color: var(--quiet); }
        dd { margin: 0; overflow-wrap: anywhere; }
        dl.answer { padding-top: 8px; border-top: 1px solid var(--line); }
        dl.answer dd { white-space: pre-wrap; }
        dd.nothing { color: var(--quiet); font-style: italic; }
        code { display: inline-block; max-width: 100%; padding: 1px 4px; border-radius: 3px; background: var(--code);
            font: 13px Menlo, Consolas, monospace; overflow-wrap: anywhere; }
        .figures { display: grid; grid-template-columns: 1fr 1fr; grid-auto-flow: dense; gap: 28px 24px; margin: 24px 0; }
        figure { margin: 0; min-width: 0; }
        figure.wide { grid-column: 1 / -1; }
        figcaption p { margin: 0 0 6px; color: var(--quiet); font-size: 12.5px; line-height: 1.4; }
        svg { display: block; max-width: 100%; height: auto; }
        svg.phone { display: none; max-width: none; }
        svg text { font-family: Arial, Helvetica, sans-serif; }
        .scroll { overflow-x: auto; }
        .scroll + h2, .scroll + p { margin-top: 24px; }
        table { width: 100%; border-collapse: collapse; font-size: 13px; }
        th { padding: 6px 10px; border-bottom: 2px solid var(--quiet); text-align: left; vertical-align: bottom; }
        td { padding: 4px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
        td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
        td.value { font-family: Menlo, Consolas, monospace; font-size: 12px; overflow-wrap: anywhere; }
        tr.best td { background: var(--best); font-weight: bold; }
        tr.pruned td { color: var(--pruned); }
        tr.failed td, tr.error td { color: var(--failed); }
        tr.error td { font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
        @media (max-width: 900px) { .figures { grid-template-columns: minmax(0, 1fr); } }
        @media screen and (max-width: 640px) {
            body { padding: 16px 12px 32px; }
            h1 { font-size: 21px; }
            svg.desk { display: none; }
            svg.phone { display: block; }
            th, td { padding: 4px 7px; }
        }
        @media print { figure, tr { break-inside: avoid; } }

        """;

    /// <summary>The same study, the same bytes: no clock, no drawn names, no culture.</summary>
    public static void Write(SweepReport report, Stream stream)
    {
        string title = $"SORSA sweep: {PlainText.Of(report.MetricName)}";
        ReportFigure[] figures =
        [
            GammaRankFigure.Of(report), CurvesFigure.Of(report), ParallelFigure.Of(report), OrthonormalityFigure.Of(report),
            ImportanceFigure.Of(report),
        ];
        Write(
            stream, title,
            ReportHead.Of(report),
            ReportSummary.Of(report),
            Figures(figures),
            figures.Where(figure => figure.Plot is null)
                .Select(figure => new XElement("p", new XElement("strong", figure.Title), ". " + PlainText.Of(figure.Note))),
            new XElement("h2", "All trials"),
            new XElement("div", new XAttribute("class", "scroll"), TrialTable.Of(report)));
    }

    /// <summary>Those figures that are there, beside each other where there is room.</summary>
    public static XElement Figures(IEnumerable<ReportFigure> figures) => new(
        "div", new XAttribute("class", "figures"), figures.Where(figure => figure.Plot is not null).Select(Figure));

    /// <summary>A page of the same look with other content.</summary>
    public static void Write(Stream stream, string title, params object?[] content)
    {
        var page = new XDocument(
            new XDocumentType("html", null, null, null),
            new XElement("html", new XAttribute("lang", "en"),
                new XElement("head",
                    new XElement("meta", new XAttribute("charset", "utf-8")),
                    new XElement("meta", new XAttribute("name", "viewport"),
                        new XAttribute("content", "width=device-width, initial-scale=1")),
                    new XElement("meta", new XAttribute("name", "color-scheme"), new XAttribute("content", "light dark")),
                    new XElement("title", title),
                    new XElement("style", Style.ReplaceLineEndings("\n"))),
                new XElement("body",
                    new XElement("h1", title),
                    content)));
        using var writer = XmlWriter.Create(stream, new XmlWriterSettings
        {
            OmitXmlDeclaration = true,
            Indent = true,
            NewLineChars = "\n",
            Encoding = new System.Text.UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
        });
        page.Save(writer);
    }

    private static XElement Figure(ReportFigure figure) => new("figure",
        new XAttribute("id", figure.Name),
        figure.IsWide ? new XAttribute("class", "wide") : null,
        new XElement("figcaption", new XElement("h2", figure.Title), new XElement("p", PlainText.Of(figure.Note))),
        new XElement("div",
            new XAttribute("class", "scroll"), figure.Sizes.Select(size => PlotSvg.Of(figure, figure.Plot!, size))));
}

/// <summary>The paragraph at the top.</summary>
internal static class ReportSummary
{
    public static XElement Of(SweepReport report) => new("p", Trials(report), Best(report), Shared(report.Shared),
        report.StoppedByTime
            ? " The time of the sweep was over before the trials were: how many there are depends on the machine, "
                + "though not what each of them gave."
            : "");

    private static string Trials(SweepReport report)
    {
        TrialState[] states = [TrialState.Completed, TrialState.Pruned, TrialState.Failed, TrialState.Running];
        IEnumerable<string> counts = states.Select(state => (State: state, Count: report.Trials.Count(trial => trial.State == state)))
            .Where(pair => pair.Count > 0)
            .Select(pair => $"{NumberText.Of(pair.Count)} {pair.State.ToString().ToLowerInvariant()}");
        return $"{NumberText.Count(report.Trials.Count, "trial")}{(report.Trials.Count == 0 ? "" : ": " + string.Join(", ", counts))}.";
    }

    private static object[] Best(SweepReport report)
    {
        if (report.Best is not { } best)
        {
            return [" None was trained to its end, so there is no best one."];
        }

        object[] parameters = [.. best.TrialSettings.Parameters.SelectMany((parameter, i) => new object[]
        {
            i == 0 ? " with " : ", ",
            new XElement("code", Exact(parameter.Value), PlainText.Of($"{parameter.Key} = {NumberText.Of(parameter.Value)}")),
        })];
        return
        [
            $" The {(report.History.IsMaximized ? "highest" : "lowest")} {PlainText.Of(report.MetricName)} is ",
            new XElement("strong", Exact(best.Metric), NumberText.Of(best.Metric)),
            $", of trial {NumberText.Of(best.TrialSettings.TrialId)}", .. parameters, ".",
        ];
    }

    /// <summary>All digits of a number, which a mouse on it shows.</summary>
    public static XAttribute? Exact(object? value) => value is double ? new XAttribute("title", ParameterText.Of(value)) : null;

    private static string Shared(SharedWork shared) => string.Create(CultureInfo.InvariantCulture,
        $" Shared work of this process: {NumberText.Count(shared.Decompositions, "matrix was", "matrices were")} decomposed and "
        + $"{NumberText.Count(shared.DecompositionsReused, "decomposition")} taken from disk instead of "
        + $"{NumberText.Of(Math.Round(shared.DecompositionTimeSaved.TotalSeconds, 1))} s of computing; "
        + $"{NumberText.Count(shared.RowsTokenized, "row was", "rows were")} tokenized and {NumberText.Of(shared.RowsReused)} were in "
        + $"tokens already; {NumberText.Count(shared.ModelLoadsSaved, "load")} of the base model saved.");
}

/// <summary>A row per trial.</summary>
internal static class TrialTable
{
    public static XElement Of(SweepReport report)
    {
        string[] options = [.. report.Space.Select(option => option.Key)];
        string[] headings = ["Trial", "State", .. options, report.MetricName, "L_reg", "Steps", "Seconds"];
        return new XElement("table",
            new XElement("thead", new XElement("tr", headings.Select(heading => new XElement("th", PlainText.Of(heading))))),
            new XElement("tbody", report.Trials.SelectMany(trial => Rows(report, trial, options, headings.Length))));
    }

    private static IEnumerable<XElement> Rows(SweepReport report, TrialResult trial, string[] options, int columns)
    {
        string kind = trial == report.Best ? "best" : trial.State.ToString().ToLowerInvariant();
        yield return new XElement("tr", new XAttribute("class", kind),
            Cell(NumberText.Of(trial.TrialSettings.TrialId)),
            new XElement("td", trial == report.Best ? "Best" : trial.State.ToString()),
            options.Select(name => new XElement(
                "td",
                new XAttribute("class", trial.TrialSettings.Parameters.GetValueOrDefault(name) is double or int ? "value number" : "value"),
                trial.TrialSettings.Parameters.TryGetValue(name, out object? value)
                    ? new object?[] { ReportSummary.Exact(value), PlainText.Of(NumberText.Of(value)) }
                    : NumberText.None)),
            Cell(NumberText.Of(trial.Metric), trial.Metric),
            Cell(NumberText.Of(OrthonormalityFigure.LastOf(trial)), OrthonormalityFigure.LastOf(trial)),
            Cell(trial.Curve.Count == 0 ? NumberText.None : NumberText.Of(trial.Curve[^1].Step)),
            Cell(NumberText.Of(Math.Round(trial.DurationInMilliseconds / 1000, 1))));
        if (trial.Error is not null)
        {
            yield return new XElement("tr", new XAttribute("class", "error"), new XElement("td", ""),
                new XElement("td", new XAttribute("colspan", columns - 1), PlainText.Of(trial.Error)));
        }
    }

    private static XElement Cell(string text, double? exact = null) =>
        new("td", new XAttribute("class", "number"), ReportSummary.Exact(exact), text);
}
