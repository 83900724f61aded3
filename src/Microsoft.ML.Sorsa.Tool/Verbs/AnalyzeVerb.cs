using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;
using Spectre.Console;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>How far a fine-tuned model's matrices moved from those of its base.</summary>
internal sealed class AnalyzeVerb : Verb
{
    private readonly Argument<string> _base = new("base")
    {
        Description = "The model that it was made from: a folder, or one safetensors file.",
    };

    private readonly Argument<string> _tuned = new("tuned") { Description = "The fine-tuned model, or a folder that train wrote." };

    private readonly OptionTable<AnalysisOptions> _options = new(nameof(AnalysisOptions.Steps));

    private readonly Option<string?> _report = new("--report") { HelpName = "FILE.html", Description = "A page with the figure." };

    private readonly Option<string?> _csv = new("--csv") { HelpName = "FILE.csv", Description = "A table with every matrix." };

    public AnalyzeVerb(Shell shell)
        : base(shell, "analyze", "Compares the singular values and vectors of a model with those of its base.")
    {
        Arguments.Add(_base);
        Arguments.Add(_tuned);
        _options.AddTo(this);
        shell.Options.AddRange(_options.Entries);
        Options.Add(_report);
        Options.Add(_csv);
    }

    protected override JsonObject Run(Session session)
    {
        ParseResult arguments = session.Arguments;
        string? report = arguments.GetValue(_report), csv = arguments.GetValue(_csv);
        Output.VerifyFile(report);
        Output.VerifyFile(csv);
        DistinctPaths.Verify(
            [(_report.Name, report), (_csv.Name, csv)],
            [.. ModelSource.FilesOf(arguments.GetValue(_base)!), .. ModelSource.FilesOf(arguments.GetValue(_tuned)!)]);
        SorsaAnalysis analysis = session.Sorsa.Analyze(
            ModelOf(arguments.GetValue(_base)!), ModelOf(arguments.GetValue(_tuned)!),
            _options.Apply(arguments, new AnalysisOptions()), session.CancellationToken);
        if (report is not null)
        {
            Output.Write(report, () => analysis.SaveReport(report));
        }

        if (csv is not null)
        {
            Output.Write(csv, () => analysis.SaveCsv(csv));
        }

        session.Show(Table(analysis));
        return new JsonObject
        {
            ["matrices"] = new JsonArray([.. analysis.Matrices.Select(matrix => new JsonObject
            {
                ["path"] = matrix.Path,
                ["singularValueChange"] = Numbers.Of(matrix.SingularValueChange),
                ["singularVectorChange"] = Numbers.Of(matrix.SingularVectorChange),
                ["effectiveRank"] = Numbers.Of(matrix.EffectiveRank),
                ["intruderDimensions"] = matrix.IntruderDimensions,
            })]),
        };
    }

    private static string ModelOf(string path) => RunFolder.Is(path) ? RunFolder.FinishedModel(path) : path;

    private static Table Table(SorsaAnalysis analysis)
    {
        Table table = new Table().AddColumns("matrix", "Δ singular values", "Δ singular vectors", "effective rank", "intruders");
        foreach (MatrixAnalysis matrix in analysis.Matrices)
        {
            table.AddRow(
                new Text(matrix.Path), Cell($"{matrix.SingularValueChange:G4}"), Cell($"{matrix.SingularVectorChange:G4}"),
                Cell($"{matrix.EffectiveRank:F1}"), Cell($"{matrix.IntruderDimensions}"));
        }

        return table;
    }

    private static Text Cell(FormattableString text) => new(FormattableString.Invariant(text));
}
